"""Polling triggers: every event once, whatever is repeated, restarted or late (promises 10, 11)."""

import base64
import json
import random
import string
import zlib
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import azure.functions as func
import pytest

from functions import triggers
from sandbox.memory_storage import MemoryStorage
from shared.avepoint.catalog import catalog
from shared.azure.storage import Container, Stored
from shared.errors import InvalidInput
from shared.services import Services
from shared.tables.forget import forget_person
from shared.tables.forgetting.matching import PersonText
from shared.tables.forgetting.retention import Retention
from shared.tables.serving import events
from shared.tables.serving.positions import Partly, Positions, positions_text, read_positions
from tests.conftest import Clock
from tests.tables.nights import Nights
from tests.tables.serving.conftest import Reading

HOST = "https://app.example"
HANDLERS: dict[str, Any] = {"snapshots": triggers.on_snapshot, "changes": triggers.on_change}
APPS, FLOWS, ACTIVITIES = "graph/enpower-powerapps", "graph/enpower-cloudflows", "graph/aos-audit"

AFTERNOON = datetime(2026, 1, 1, 13, tzinfo=UTC)

BAD_STATES = [
    "[" * 60_000,
    '{"t": 1767225600, "r": {"20261399T000000Z-graph": ["graph/enpower-powerapps"]}}',
    '{"t": 1767225600, "r": {}, "p": ["graph/enpower-powerapps", "20260101T000000Z-graph", "no digest", null]}',
    '{"t": 1' + "0" * 30 + ', "r": {}}',
]


def packed(content: str) -> str:
    return base64.urlsafe_b64encode(zlib.compress(content.encode(), level=9)).rstrip(b"=").decode()


def state_in(location: str) -> str:
    (state,) = parse_qs(urlsplit(location).query)["triggerState"]
    return state


@dataclass
class Flow:
    """A trigger of Power Automate: it asks at the last Location, and keeps the new one once its runs have started."""

    what: str
    query: str = ""
    location: str = ""
    told: list[dict[str, Any]] = field(default_factory=list)

    async def poll(self, *, dies: bool = False) -> tuple[int, list[dict[str, Any]]]:
        """Ask once; a flow that dies before its runs have started asks the same again later."""
        url = self.location or f"{HOST}/api/triggers/{self.what}?{self.query}"
        response: func.HttpResponse = await HANDLERS[self.what](func.HttpRequest("GET", url, body=b""))
        assert response.status_code in {200, 202}, response.get_body()
        assert len(response.headers["Location"]) < 4_096
        assert int(response.headers["Retry-After"]) > 0
        body = json.loads(response.get_body()) if response.status_code == 200 else {"value": []}
        found = body.pop("value")
        assert body == ({"triggerState": state_in(response.headers["Location"])} if found else {})
        assert bool(found) is (response.status_code == 200)
        if not dies:
            self.location = response.headers["Location"]
            self.told += found
        return response.status_code, found


@dataclass
class Tenant:
    """Datasets of one storage, harvested night after night."""

    apps: Nights
    flows: Nights
    audit: Nights


@pytest.fixture
def tenant(memory: MemoryStorage, clock: Clock, reading: Reading, monkeypatch: pytest.MonkeyPatch) -> Tenant:
    made = Tenant(*(Nights.of(memory, clock, name) for name in (APPS, FLOWS, ACTIVITIES)))

    async def opened() -> Services:
        return reading(made.apps)

    monkeypatch.setattr(triggers, "services", opened)
    clock.now = datetime(2026, 1, 1, 12, tzinfo=UTC)
    return made


def item(number: int, **fields: object) -> dict[str, object]:
    return {"id": f"{number:03}", "flowId": f"{number:03}", "displayName": f"{number}", **fields}


def items(chance: random.Random) -> list[dict[str, object]]:
    numbers = chance.sample(range(20), chance.randrange(20))
    return [item(number, displayName=chance.choice("xy")) for number in numbers]


def named(told: list[dict[str, Any]]) -> Counter[tuple[str, ...]]:
    return Counter(
        (one["source"], one["dataset"], one["runId"], one.get("key", ""), one.get("change", "")) for one in told
    )


async def all_changes(*datasets: Nights) -> Counter[tuple[str, ...]]:
    told = Counter[tuple[str, ...]]()
    for nights in datasets:
        name = nights.dataset.name
        told.update(("graph", name, one["run_id"], one["key"], one["change"]) for one in nights.changes())
    return told


@pytest.mark.slow
async def test_every_change_is_told_once_in_ten_nights(
    tenant: Tenant, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(1)  # noqa: S311 - the same nights in every run
    monkeypatch.setattr(events, "MOST_EVENTS", 4)
    await tenant.apps.night(items(chance))
    flow, removed = Flow("changes"), Flow("changes", query="change=removed&dataset=enpower-powerapps")
    assert await flow.poll() == (202, [])
    assert await removed.poll() == (202, [])
    for night in range(10):
        clock.advance(days=1)
        await (tenant.apps.night if night else tenant.flows.night)(items(chance))
        if chance.random() < 0.7:
            await tenant.flows.night(items(chance))
        for _ in range(chance.randrange(6)):
            _, lost = await flow.poll(dies=True)
            _, found = await flow.poll(dies=chance.random() < 0.3)
            assert found[: len(lost)] == lost
        await removed.poll()
        flow = Flow("changes", location=flow.location, told=flow.told)
    while (await flow.poll())[0] == 200 or (await removed.poll())[0] == 200:
        pass
    everything = await all_changes(tenant.apps, tenant.flows)
    assert named(flow.told) == everything
    assert len(everything) > 40
    wanted = {one: 1 for one in everything if one[1] == "enpower-powerapps" and one[4] == "removed"}
    assert named(removed.told) == wanted


async def test_no_change_is_passed_over_when_others_are_taken_out(
    tenant: Tenant, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "MOST_EVENTS", 3)
    storage, keys = tenant.apps.storage, [f"{number:03}" for number in range(8)]
    await tenant.apps.night([])
    flow = Flow("changes")
    await flow.poll()
    await tenant.apps.night([item(number, creator=f"person-{number}@contoso.com") for number in range(8)])
    await flow.poll()
    text = PersonText(f"person-{int(flow.told[1]['key'])}@contoso.com")

    await forget_person(storage, storage, text, Retention(), apply=True, clock=clock, sleep=clock.sleep)
    while (await flow.poll())[0] == 200:
        pass

    assert sorted(one["key"] for one in flow.told) == keys


async def test_every_snapshot_is_told_once_in_ten_nights(
    tenant: Tenant, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "MOST_EVENTS", 2)
    await tenant.apps.publish([item(1)])
    flow, late = Flow("snapshots"), Flow("snapshots", query="source=graph&dataset=aos-audit")
    assert await flow.poll() == (202, [])
    assert await late.poll() == (202, [])
    for night in range(10):
        clock.advance(days=1)
        at = datetime(2026, 1, 1, 12, 30, tzinfo=UTC) + timedelta(days=night)
        for nights in (tenant.apps, tenant.audit):
            await nights.publish([item(night)], at=at)
        if night % 3 == 0:
            _, lost = await flow.poll(dies=True)
            _, found = await flow.poll()
            assert found == lost
    while (await flow.poll())[0] == 200:
        pass
    while (await late.poll())[0] == 200:
        pass
    runs = [("graph", "enpower-powerapps", run, "", "") for run in tenant.apps.runs[1:]]
    audits = [("graph", "aos-audit", run, "", "") for run in tenant.audit.runs]
    assert named(flow.told) == Counter(runs + audits)
    assert named(late.told) == Counter(audits)


async def test_events_are_told_as_the_contract_has_it(tenant: Tenant) -> None:
    first = await tenant.apps.night([item(1)])
    snapshots, changes = Flow("snapshots"), Flow("changes")
    await snapshots.poll()
    await changes.poll()
    second = await tenant.apps.night([item(1, displayName="x")])
    _, (snapshot,) = await snapshots.poll()
    assert snapshot == {
        "source": "graph",
        "dataset": "enpower-powerapps",
        "runId": second.run_id,
        "verdict": "complete",
        "kind": "full",
        "items": 1,
        "finishedAt": "2026-01-02T02:05:00Z",
        "manifest": f"manifests/graph/enpower-powerapps/{second.run_id}.json",
    }
    _, (change,) = await changes.poll()
    assert change == {
        "source": "graph",
        "dataset": "enpower-powerapps",
        "key": "001",
        "change": "changed",
        "sure": True,
        "fields": ["displayName"],
        "before": {"displayName": "1"},
        "after": {"displayName": "x"},
        "runId": second.run_id,
        "previousRunId": first.run_id,
        "at": "2026-01-02T02:05:00Z",
    }


async def test_the_first_snapshot_of_a_dataset_is_an_event(tenant: Tenant) -> None:
    flow = Flow("snapshots")
    await flow.poll()
    manifest = await tenant.apps.publish([item(1)], at=datetime(2026, 1, 1, 13, tzinfo=UTC))
    assert [one["runId"] for one in (await flow.poll())[1]] == [manifest.run_id]
    assert await flow.poll() == (202, [])


async def test_a_manifest_that_cannot_be_read_holds_up_its_own_dataset_alone(tenant: Tenant) -> None:
    flow, blobs = Flow("snapshots"), tenant.apps.storage.blobs[Container.INVENTORY]
    await flow.poll()
    apps, audit = [await one.publish([item(1)], at=AFTERNOON) for one in (tenant.apps, tenant.audit)]
    path = f"manifests/graph/enpower-powerapps/{apps.run_id}.json"
    whole, blobs[path] = blobs[path], Stored(b"{", blobs[path].etag)

    assert [one["dataset"] for one in (await flow.poll())[1]] == [audit.dataset]
    assert await flow.poll() == (202, [])
    blobs[path] = whole
    assert [one["dataset"] for one in (await flow.poll())[1]] == [apps.dataset]


@pytest.mark.usefixtures("tenant")
@pytest.mark.parametrize(
    ("query", "target"),
    [
        ("triggerState=x", "triggerState"),
        ("triggerState=eJwDAAAAAAE", "triggerState"),
        *((f"triggerState={packed(content)}", "triggerState") for content in BAD_STATES),
        ("source=nosuch", "source"),
        ("dataset=nosuch", "dataset"),
        ("source=elements&dataset=enpower-powerapps", "dataset"),
        ("changes=added", "changes"),
    ],
)
async def test_what_is_not_understood_is_refused(query: str, target: str) -> None:
    request = func.HttpRequest("GET", f"{HOST}/api/triggers/snapshots?{query}", body=b"")
    response: func.HttpResponse = await cast("Any", triggers.on_snapshot)(request)
    assert (response.status_code, json.loads(response.get_body())["error"]["target"]) == (400, target)


@pytest.mark.usefixtures("tenant")
async def test_a_trigger_that_could_never_tell_anything_is_refused() -> None:
    request = func.HttpRequest("GET", f"{HOST}/api/triggers/changes?dataset=aos-audit", body=b"")
    response: func.HttpResponse = await cast("Any", triggers.on_change)(request)
    assert response.status_code == 409
    assert "graph/aos-audit has no changes" in json.loads(response.get_body())["error"]["message"]


async def test_a_state_older_than_the_changes_that_are_kept_is_refused(
    tenant: Tenant, reading: Reading, clock: Clock
) -> None:
    first = await tenant.apps.night([item(1)])
    positions = Positions(clock(), {APPS: first.run_id})
    for days in (1, 500):
        await tenant.apps.night([item(days)], at=first.started_at + timedelta(days=days))

    with pytest.raises(InvalidInput, match="later changes of graph/enpower-powerapps are kept no longer") as refused:
        await events.change_events(reading(tenant.apps), events.Watched(), None, positions)

    assert refused.value.target == "triggerState"
    for after in (Positions(clock(), {APPS: tenant.apps.runs[1]}), Positions(clock(), {APPS: tenant.apps.runs[2]})):
        await events.change_events(reading(tenant.apps), events.Watched(), None, after)


async def test_a_dataset_that_was_not_harvested_for_long_is_told_of(
    tenant: Tenant, reading: Reading, clock: Clock
) -> None:
    first = await tenant.apps.night([item(1)])
    positions = Positions(clock(), {APPS: first.run_id})
    await tenant.apps.night([item(1), item(2)], at=first.started_at + timedelta(days=500))
    told = await events.change_events(reading(tenant.apps), events.Watched(), None, positions)
    assert [json.loads(one)["key"] for one in told.events] == ["002"]


def test_positions_come_back() -> None:
    since = datetime(2026, 1, 1, 12, tzinfo=UTC)
    seen = {APPS: "20260101T000000Z-graph", FLOWS: "20260102T000000Z-graph-abc123"}
    digest, run = "0123456789abcdef" * 2, "20260102T000000Z-graph"
    for partly in (None, Partly(APPS, run, digest), Partly(APPS, run, digest, "added")):
        positions = Positions(since, seen, partly)
        assert read_positions(positions_text(positions)) == positions


def test_no_letter_of_a_state_can_be_damaged() -> None:
    text = positions_text(Positions(datetime(2026, 1, 1, tzinfo=UTC), {APPS: "20260101T000000Z-graph"}))
    for place, letter in enumerate(text[:-1]):
        with pytest.raises(InvalidInput):
            read_positions(text[:place] + ("A" if letter != "A" else "B") + text[place + 1 :])
    for damaged in (text[:-4], text + "AAAA", "é", "a b"):
        with pytest.raises(InvalidInput):
            read_positions(damaged)


def test_the_state_of_every_dataset_with_runs_of_their_own_fits_into_a_link() -> None:
    chance = random.Random(1)  # noqa: S311 - the same ids in every run
    seen = {
        f"{source}/{name}": f"202601{chance.randrange(10, 28)}T{chance.randrange(100_000, 235_959)}Z-{source}-"
        + "".join(chance.choices(string.ascii_lowercase + string.digits, k=6))
        for source, name in catalog()
    }
    partly = Partly(APPS, f"{seen[APPS][:-6]}abcdef", "0123456789abcdef" * 2, "removed")
    text = positions_text(Positions(datetime(2026, 1, 1, tzinfo=UTC), seen, partly))
    assert len(text) < 4_096 - 300
    assert parse_qs(urlsplit(f"?s={text}").query)["s"] == [text]
