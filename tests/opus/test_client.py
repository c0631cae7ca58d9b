"""Lists of due records and proofs, from the simulated AvePoint and from an AvePoint that misbehaves."""

from datetime import UTC, datetime

import pytest

from shared.avepoint.opus import ConnectorApi, GraphApi
from shared.errors import BrokenChain
from shared.opus.assembly import opus_of
from shared.opus.client import Position, opus_api
from shared.opus.verdicts import Answered, NotSent
from tests.opus.conftest import CONNECTION, OPUS, Bench, Reopen

BEFORE = datetime(2999, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("top", [1, 7, 99, 100, 101, 250, 1000])
async def test_every_due_record_is_listed_once_whatever_is_asked_at_once(bench: Bench, top: int) -> None:
    keys = await bench.fill(230)
    opus = opus_of(bench.services)
    listed: list[object] = []
    rest: Position | None = Position()

    while rest is not None:
        due = await opus.due(CONNECTION, BEFORE, top=top, start=rest)
        assert len(due.records) == min(top, len(keys) - len(listed))
        listed += [record["rowKey"] for record in due.records]
        rest = due.rest

    assert sorted(map(str, listed)) == keys
    sizes = {entry.query.rpartition("itemsPerPage=")[2].partition("&")[0] for entry in bench.avepoint.requests(OPUS)}
    assert sizes == {str(min(top, 100))}


async def test_times_are_rfc_3339(bench: Bench) -> None:
    await bench.fill(1)

    due = await opus_of(bench.services).due(CONNECTION, BEFORE, top=1, start=Position())

    assert due.records[0]["timeCreated"] == "2020-01-15T08:30:00Z"


async def test_nothing_due_is_an_empty_list(bench: Bench) -> None:
    bench.fault(method="GET", status=204)

    due = await opus_of(bench.services).due(CONNECTION, BEFORE, top=100, start=Position())

    assert (due.records, due.rest) == ((), None)


async def test_only_what_is_still_due_is_found(bench: Bench) -> None:
    keys = await bench.fill(120)

    found = await opus_of(bench.services).still_due(CONNECTION, BEFORE, [keys[0], keys[119], "destroyed"])

    assert found == {keys[0], keys[119]}


async def test_a_start_index_that_comes_back_ends_the_list_with_an_error(bench: Bench) -> None:
    bench.fault(times=None, body={"startIndex": "1", "queriedItems": [{"rowKey": "a"}]})
    opus = opus_of(bench.services)

    with pytest.raises(BrokenChain, match="comes back"):
        await opus.due(CONNECTION, BEFORE, top=1000, start=Position())
    with pytest.raises(BrokenChain, match="comes back"):
        await opus.still_due(CONNECTION, BEFORE, ["b"])


async def test_without_a_token_nothing_was_sent(bench: Bench) -> None:
    bench.fault(path="/connect/token", times=None, status=500)

    assert isinstance(await opus_of(bench.services).destroy(["a"]), NotSent)
    assert bench.asked("DELETE") == 0


async def test_the_legacy_generation_is_spoken_to_the_same_way(reopen: Reopen) -> None:
    bench = reopen(opus_api="connector", opus_dispose_path="/api/connector/Dispose")
    failed = [{"Item": {"RowKey": "b"}, "Message": "No term"}]
    bench.fault(path="*/GetDueRecords", body={"pageIndex": "", "queriedItems": [{"rowKey": "a"}]})
    bench.fault(path="*/SubmitRecords", body={"Message": "Some failed", "FailedItems": failed})
    bench.fault(path="*/Dispose", body={"message": "Success", "failedItems": []})
    opus = opus_of(bench.services)

    due = await opus.due(CONNECTION, BEFORE, top=10, start=Position())
    submitted = await opus.submit(CONNECTION, "Skip", [{"rowKey": "a"}, {"rowKey": "b"}])
    destroyed = await opus.destroy(["a"])

    assert [record["rowKey"] for record in due.records] == ["a"]
    assert isinstance(submitted, Answered)
    assert submitted.processed.failed == {"b": "No term"}
    assert isinstance(destroyed, Answered)
    assert destroyed.processed.failed == {}


def test_the_settings_choose_the_generation(reopen: Reopen) -> None:
    legacy = reopen(opus_api="connector", opus_dispose_path="/dispose", opus_url_override="https://opus.example")

    assert opus_api(legacy.services.settings) == ConnectorApi("https://opus.example", "/dispose")
    assert isinstance(opus_api(reopen().services.settings), GraphApi)
