"""What has to hold of everything that is stored: every morning, and in the end."""

import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import timedelta

from benchmarks.capacity import LIMITS
from benchmarks.month import GIGA, Bill, ChosenList, Habits
from shared.avepoint.catalog import catalog
from shared.azure.storage import Container
from shared.doctor.verifying.anchors import ANCHORS
from shared.doctor.verifying.documents import read_verification
from shared.harvest.plan import paths
from shared.harvest.runs.repairing import repairs
from shared.harvest.snapshots.manifest import Manifest, read_latest
from shared.harvest.snapshots.watermark import Watermark
from shared.harvest.verify import VerifyProgress, verify
from shared.opus.evidence.findings import problems
from shared.opus.verify import gather_evidence, read_anchor
from shared.tables.verify import verify_tables
from tests.faults.promises import content, lines, require, snapshots
from tests.nights.happenings import LATER, Happenings
from tests.nights.model import AUDIT, JOBS, happened
from tests.nights.organisation import DAY, EVENTS_A_DAY, TABLED, Organisation

RAW_DAYS, STATE_DAYS = 90, 60
"""As the rules of the account delete them; a year would not see those of the template."""


@dataclass
class Checks:
    """Holds what is stored against the promises, and against what it was on the days before."""

    here: Organisation
    happenings: Happenings
    seen: set[str] = field(default_factory=set)
    """The manifests of all snapshots so far."""
    _published: dict[str, Counter[bytes]] = field(default_factory=lambda: defaultdict(Counter))
    _newest: dict[str, str] = field(default_factory=dict)
    _evidence: dict[str, bytes] = field(default_factory=dict)

    async def look(self) -> None:
        """Look, every morning, at what is new and at what never may change."""
        await self._look_at_snapshots()
        for one in catalog().values():
            pointer = await read_latest(self.here.storage, one.source, one.name)
            if pointer is not None:
                before = self._newest.get(f"{one.source}/{one.name}", "")
                require(before[:16] <= pointer.run_id[:16], f"latest of {one.name} moved back to {pointer.run_id}")
                self._newest[f"{one.source}/{one.name}"] = pointer.run_id
        there = self.here.storage.blobs[Container.EVIDENCE]
        for path, stored in there.items():
            if path.startswith("date="):
                require(self._evidence.setdefault(path, stored.data) == stored.data, f"{path} has changed")
        missing = self._evidence.keys() - there.keys() - self.happenings.pruned
        require(not missing, f"evidence is gone: {sorted(missing)}")

    async def _look_at_snapshots(self) -> None:
        storage = self.here.storage
        found = [path async for path in storage.list(Container.INVENTORY, paths.MANIFESTS) if path.endswith(".json")]
        for path in found:
            if path not in self.seen:
                self.seen.add(path)
                manifest = Manifest.from_json(await content(storage, Container.INVENTORY, path))
                self._look_at(path, manifest, await lines(storage, manifest))

    def _look_at(self, path: str, manifest: Manifest, read: list[bytes]) -> None:
        if not manifest.published or self.here.day == 0:
            return
        if manifest.window is not None:
            self._published[manifest.dataset].update(read)
        elif manifest.parents is None and manifest.verdict == "complete":
            prefix = {"enpower": "legacy-enpower-", "graph": "", "elements": "elements-"}[manifest.source]
            expected = self.here.avepoint.items(f"{prefix}{manifest.dataset}")
            require(read == expected, f"{path} holds {len(read)} items, not the {len(expected)} served")

    async def check(self) -> None:
        """Hold everything that is stored against the promises."""
        storage, process = self.here.storage, self.here.account.process()
        stored = [path async for path in storage.list(Container.INVENTORY, paths.MANIFESTS)]
        names = sorted(filter(None, map(paths.snapshot_of, stored)))
        found = [one async for one in verify(storage, names, may_expire=True, progress=VerifyProgress())]
        faults = [f"{one.dataset} {one.run_id}: {fault}" for one in found for fault in one.faults]
        require(not faults, f"snapshots: {faults[:5]}")
        reports = await verify_tables(process.services, list(catalog().values()))
        wrong = [f"{one.dataset}: {problem}" for one in reports for problem in one.problems]
        require(len(reports) == len(TABLED) and not wrong, f"{len(reports)} tables: {wrong[:5]}")
        await self._check_evidence()
        state = await read_verification(storage)
        require(state and not state.value.findings, f"the sweep has found {state}")
        left = [one.words async for one in repairs(storage, now=self.here.clock.now)]
        require(not left, f"what does not fit together: {left}")
        self._check_orphans({part.path for one in (await snapshots(storage)).values() for part in one.parts})
        self._check_retention()
        self._check_names_of_a_later_version()
        await self._check_events()
        await process.close()

    async def _check_evidence(self) -> None:
        """Evidence is whole, and each piece of it is what the anchors say."""
        storage = self.here.storage
        files = [path async for path in storage.list(Container.TABLES, ANCHORS)]
        text = "".join([(await content(storage, Container.TABLES, path)).decode() for path in files])
        seen = await gather_evidence(storage, today=self.here.clock.now.date(), anchor=read_anchor(text))
        wrong = [*problems(seen)]
        require(not wrong, f"evidence: {wrong[:5]}")

    def _check_orphans(self, named: set[str]) -> None:
        raw = {path for path in self.here.storage.blobs[Container.INVENTORY] if path.startswith("raw/")}
        require(raw <= named, f"orphans: {sorted(raw - named)[:5]}")
        require(not any(self.here.storage.queues.values()), "a message is left")

    def _check_retention(self) -> None:
        oldest = self.here.clock.now - timedelta(days=31)
        state = self.here.storage.blobs[Container.HARVEST_STATE]
        runs = {path.split("/")[1] for path in state if path.startswith(paths.RUNS)}
        documents = [path for path in state if path.startswith(paths.WATERMARKS) and path.endswith(".json")]
        named = {Watermark.from_json(state[path].data).remembered for path in documents}
        require(named <= state.keys(), f"remembered and not there: {sorted(named - state.keys())}")
        beside = [path for path in state if path.startswith(paths.WATERMARKS) and path.endswith(".bin")]
        runs |= {path.rsplit("/", 1)[1][: len("20260320T020000Z-graph")] for path in beside if path not in named}
        kept = sorted(run for run in runs if paths.started_at(run) < oldest)
        require(not kept, f"the state of {kept[:3]} is still there")

    def _check_names_of_a_later_version(self) -> None:
        state = self.here.storage.blobs[Container.HARVEST_STATE]
        lost = [path for path in sorted(self.happenings.marked) if LATER not in json.loads(state[path].data)]
        require(not lost, f"what a later version wrote is lost: {lost}")

    async def _check_events(self) -> None:
        """All windows together hold every event once, and the end of every job."""
        for dataset in (JOBS, AUDIT):
            found = self._published[dataset]
            require(max(found.values()) == 1, f"{dataset}: something was published twice")
            pointer = await read_latest(self.here.storage, "graph", dataset)
            assert pointer is not None
            begin = min(map(happened, found))
            until = paths.started_at(pointer.run_id) - timedelta(hours=1)
            expected = [item for item in self.here.avepoint.items(dataset) if begin <= happened(item) < until]
            missing = [item for item in expected if item not in found]
            require(not missing, f"{dataset}: {len(missing)} of {len(expected)} are missing, such as {missing[:1]}")

    def expire(self) -> None:
        """Let the rules of the account delete what is old."""
        for container, prefix, days in (
            (Container.INVENTORY, "raw/", RAW_DAYS),
            (Container.HARVEST_STATE, paths.RUNS, STATE_DAYS),
        ):
            self.here.storage.expire(container, prefix, before=self.here.clock.now - days * DAY)

    async def said(self) -> Bill:
        """What the calculator says of lists as the newest manifests show them, and of what comes in a day."""
        found = (await snapshots(self.here.storage)).values()
        newest = {(one.source, one.dataset): one for one in found if one.published}
        chosen = [
            ChosenList(
                catalog()[source, name],
                items=manifest.items if manifest.window is None else EVENTS_A_DAY,
                parents=manifest.parents.asked if manifest.parents else 1,
                item_bytes=manifest.bytes / max(1, manifest.items),
                tabled=f"{source}/{name}" in TABLED,
            )
            for (source, name), manifest in newest.items()
        ]
        nights = self.here.day
        return Bill(chosen, Habits(nights=nights, sweeps=round(self.here.sweeps / nights), raw_days=RAW_DAYS), LIMITS)

    async def check_growth(self) -> None:
        """Hold what is stored against what the calculator says."""
        said, stored = (await self.said()).gigabytes * GIGA, self.here.bytes
        require(abs(stored - said) <= said / 4, f"{stored} bytes are stored, not {said:.0f}")
