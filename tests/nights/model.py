"""What a harvest of the simulated tenant may publish on a night, said as simply as possible."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal

from sandbox.avepoint import AvePoint
from shared.avepoint.catalog import catalog
from shared.avepoint.fields import fields_of
from shared.harvest.snapshots.manifest import Manifest
from tests.faults.promises import require

APPS = "enpower-powerapps"
USERS = "enpower-powerapp-launched-users"
LAUNCHES = "enpower-powerapp-launches"
JOBS = "iaas-backup-jobs"
AUDIT = "aos-audit"
DATASETS = (APPS, USERS, LAUNCHES, JOBS, AUDIT)
CHILDREN = (USERS, LAUNCHES)

type Mood = Literal["well", "troubled", "refusing", "shifting"]
"""How a list is served: as documented, with faults that pass, with failures that stay, with pages that move."""


def path_of(dataset: str) -> str:
    """The requests for a dataset, as a glob."""
    return catalog()["graph", dataset].path.replace("{appId}", "*")


def with_parent(app: str, item: bytes) -> bytes:
    """A line of a child dataset."""
    return b'{"_parent":{"appId":"' + app.encode() + b'"},' + item[1:]


def parent_of(line: bytes) -> str:
    """The app that a line of a child dataset belongs to."""
    return str(json.loads(line)["_parent"]["appId"])


@dataclass(frozen=True, slots=True)
class Served:
    """What AvePoint holds at an instant."""

    lists: Mapping[str, Sequence[bytes]]
    children: Mapping[str, Mapping[str, Sequence[bytes]]]

    @classmethod
    def by(cls, avepoint: AvePoint) -> "Served":
        """Look at all lists; a parent that is only out of sight is there."""
        apps = [parent["appId"] for parent in avepoint.parents(USERS)]
        return cls(
            {name: avepoint.items(name) for name in (APPS, JOBS, AUDIT)},
            {name: {app: avepoint.items(name, {"appId": app}) for app in apps} for name in CHILDREN},
        )


@dataclass
class Model:
    """What was published so far, and what may come next."""

    ended_only: bool
    """Whether a window gives only the jobs that have ended in it."""
    apps: Sequence[str] | None = None
    """The parents that the newest published list of apps names."""
    published: dict[str, list[Manifest]] = field(default_factory=lambda: defaultdict(list))
    stored: dict[str, list[bytes]] = field(default_factory=lambda: defaultdict(list))
    """Every line of every window that was published."""
    launches: dict[str, datetime] = field(default_factory=dict)
    """Until when the launches of an app were published."""

    def expect_apps(self, manifest: Manifest | None, lines: Sequence[bytes], mood: Mood, served: Served) -> None:
        """The list is published whole, or not at all: whole wherever that is possible."""
        truth = served.lists[APPS]
        self._expect_published(APPS, manifest, mood)
        if manifest is None or not manifest.published:
            return
        require(lines == list(truth), f"{len(lines)} apps are published, not the {len(truth)} served")
        require(manifest.verdict == "complete", f"all apps came, and the verdict is {manifest.verdict}")
        self.apps = [json.loads(line)["appId"] for line in lines]

    def expect_child(
        self,
        dataset: str,
        manifest: Manifest | None,
        lines: Sequence[bytes],
        mood: Mood,
        *,
        asked: Sequence[str],
        away: frozenset[str],
        served: Served,
    ) -> None:
        """Every parent that is there is published, whatever becomes of the others; those are named."""
        there = [app for app in asked if app in served.children[dataset] and app not in away]
        if mood == "refusing":
            require(not asked or manifest is None or not manifest.published, f"{dataset} was refused, and is published")
            return
        require(manifest is not None, f"{dataset} has no manifest")
        assert manifest is not None
        assert manifest.parents is not None
        require(manifest.parents.asked == len(asked), f"{manifest.parents.asked} parents asked, not {len(asked)}")
        if asked and not there:
            gone = manifest.parents.gone == len(asked)
            require(not manifest.published or gone, f"no parent of {dataset} answered, and it is published")
            return
        require(manifest.published, f"{dataset} is {manifest.verdict}: {manifest.reason}")
        missing = manifest.parents.failed_count + manifest.parents.gone
        require(missing == len(asked) - len(there), f"{dataset}: {manifest.parents} of {len(asked) - len(there)} away")
        verdict = "capped" if manifest.parents.failed_count else "complete"
        require(manifest.verdict == verdict, f"{dataset} is {manifest.verdict}, not {verdict}")
        require({parent_of(line) for line in lines} <= set(there), f"{dataset} tells of parents that were away")
        if dataset == USERS:
            expected = [with_parent(app, item) for app in there for item in served.children[USERS][app]]
            require(Counter(lines) == Counter(expected), f"{len(lines)} users are published, not {len(expected)}")
        else:
            self._expect_launches(manifest, lines, there, served)

    def _expect_launches(
        self, manifest: Manifest, lines: Sequence[bytes], there: Iterable[str], served: Served
    ) -> None:
        """Each app is asked for everything since it was asked last: nothing is left out, and nothing comes twice."""
        assert manifest.window is not None
        before = Counter(self.stored[LAUNCHES])
        require(not before & Counter(lines), "launches were published twice")
        self.stored[LAUNCHES] += lines
        collected = set(self.stored[LAUNCHES])
        for app in there:
            since = self.launches.get(app, manifest.window.to - timedelta(days=29))
            for item in served.children[LAUNCHES][app]:
                at = happened(item)
                if since < at <= manifest.window.to:
                    require(with_parent(app, item) in collected, f"a launch of {at} is missing")
            self.launches[app] = manifest.window.to

    def expect_window(
        self,
        dataset: str,
        manifest: Manifest | None,
        lines: Sequence[bytes],
        mood: Mood,
        *,
        before: Served,
        after: Served,
    ) -> None:
        """All windows together hold each event; of a job, how it ended."""
        self._expect_published(dataset, manifest, mood)
        if manifest is None or not manifest.published:
            return
        assert manifest.window is not None
        first = next(iter(self.published[dataset]), manifest)
        assert first.window is not None
        self.stored[dataset] += lines
        begin, end = first.window.from_, manifest.window.to
        last = {_identity(dataset, line): line for line in self.stored[dataset]}
        times = Counter(self.stored[dataset])
        require(max(times.values(), default=1) == 1, f"{dataset}: an event was published twice as it was")
        earlier = _within(before.lists[dataset], begin, end)
        for old, new in zip(earlier, _within(after.lists[dataset], begin, end), strict=True):
            found = last.get(_identity(dataset, new))
            if found is None and self.ended_only and not _has_ended(dataset, old):
                continue
            require(found is not None, f"{dataset}: what happened at {happened(new)} is missing")
            require(found in (old, new), f"{dataset}: {found!r} is not what was served at last, {new!r}")

    def _expect_published(self, dataset: str, manifest: Manifest | None, mood: Mood) -> None:
        published = manifest is not None and manifest.published
        if mood in ("well", "troubled"):
            require(published, f"{dataset} was served in the end, and is {manifest and manifest.reason}")
        elif mood == "refusing":
            require(not published, f"{dataset} was refused, and is published")


def happened(item: bytes) -> datetime:
    """When an event happened, or a job began."""
    shown = json.loads(item)
    at = next(shown[name] for name in ("creationTime", "startTime", "actionTime") if name in shown)
    found = datetime.fromisoformat(at)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _identity(dataset: str, line: bytes) -> object:
    key = catalog()["graph", dataset].key
    shown = json.loads(line)
    return tuple(shown[name] for name in key) if key else line


def _has_ended(dataset: str, line: bytes) -> bool:
    ending = fields_of(catalog()["graph", dataset]).ending
    return ending is None or ending.has_ended(json.loads(line))


def _within(items: Iterable[bytes], begin: datetime, end: datetime) -> list[bytes]:
    return [item for item in items if begin <= happened(item) < end]
