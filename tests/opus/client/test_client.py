"""Lists of due records and proofs, from the simulated AvePoint and from an AvePoint that misbehaves."""

from datetime import UTC, datetime
from typing import override

import pytest

from shared.avepoint.opus import ConnectorApi, GraphApi
from shared.avepoint.opus_answers import DuePage
from shared.errors import BrokenChain, Rejected
from shared.opus.client.client import Opus, opus_api
from shared.opus.client.due_list import Cursor, StillDue
from shared.opus.client.verdicts import Answered, NotSentYet
from shared.opus.operations.assembly import dates_of, opus_of
from tests.opus.conftest import CONNECTION, OPUS, Bench, Reopen, records

BEFORE = datetime(2999, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("top", [1, 7, 99, 100, 101, 250, 1000])
async def test_every_due_record_is_listed_once_whatever_is_asked_at_once(bench: Bench, top: int) -> None:
    keys = await bench.fill(230)
    opus = opus_of(bench.services)
    listed: list[object] = []
    rest: Cursor | None = Cursor()

    while rest is not None:
        due = await opus.due(CONNECTION, BEFORE, top=top, start=rest)
        assert len(due.records) == min(top, len(keys) - len(listed))
        listed += [record["rowKey"] for record in due.records]
        rest = due.next_cursor

    assert sorted(map(str, listed)) == keys
    sizes = {entry.query.rpartition("itemsPerPage=")[2].partition("&")[0] for entry in bench.avepoint.requests(OPUS)}
    assert sizes == {str(min(top, 100))}


async def test_times_are_rfc_3339(bench: Bench) -> None:
    await bench.fill(1)

    due = await opus_of(bench.services).due(CONNECTION, BEFORE, top=1, start=Cursor())

    assert due.records[0]["timeCreated"] == "2020-01-15T08:30:00Z"


async def test_nothing_due_is_an_empty_list(bench: Bench) -> None:
    bench.fault(method="GET", status=204)

    due = await opus_of(bench.services).due(CONNECTION, BEFORE, top=100, start=Cursor())

    assert (due.records, due.next_cursor) == ((), None)


async def test_only_what_is_still_due_is_found(bench: Bench) -> None:
    keys = await bench.fill(120)

    found = await opus_of(bench.services).still_due(CONNECTION, BEFORE, [keys[0], keys[119], "destroyed"], pages=100)

    assert found == StillDue(frozenset({keys[0], keys[119]}), whole=True)


async def test_another_case_and_other_blanks_are_told_apart_from_what_is_gone(bench: Bench) -> None:
    body = {"startIndex": None, "queriedItems": [{"rowKey": "A "}, {"rowKey": "b"}, {"rowKey": "B"}]}
    bench.fault(body=body)

    found = await opus_of(bench.services).still_due(CONNECTION, BEFORE, ["a", "b", "c"], pages=100)

    assert found == StillDue(frozenset({"b"}), whole=True, alike=frozenset({"a"}))


async def test_a_list_longer_than_what_is_read_of_it_says_so(bench: Bench) -> None:
    keys = await bench.fill(120)

    found = await opus_of(bench.services).still_due(CONNECTION, BEFORE, [keys[0], keys[119]], pages=1)

    assert found == StillDue(frozenset({keys[0]}), whole=False)


async def test_a_start_index_that_comes_back_ends_the_list_with_an_error(bench: Bench) -> None:
    bench.fault(times=None, body={"startIndex": "1", "queriedItems": [{"rowKey": "a"}]})
    opus = opus_of(bench.services)

    with pytest.raises(BrokenChain, match=r"comes back|without end"):
        await opus.due(CONNECTION, BEFORE, top=1000, start=Cursor())
    with pytest.raises(BrokenChain, match=r"comes back|without end"):
        await opus.still_due(CONNECTION, BEFORE, ["b"], pages=100)


async def test_a_list_that_ends_with_a_record_it_has_shown_before_has_ended(bench: Bench) -> None:
    for _ in range(2):
        bench.fault(body={"startIndex": "1", "queriedItems": [{"rowKey": "a"}, {"rowKey": "b"}]})
        bench.fault(body={"startIndex": None, "queriedItems": [{"rowKey": "b"}]})
    opus = opus_of(bench.services)

    due = await opus.due(CONNECTION, BEFORE, top=1000, start=Cursor())
    found = await opus.still_due(CONNECTION, BEFORE, ["b", "destroyed"], pages=100)

    assert ([record["rowKey"] for record in due.records], due.next_cursor) == (["a", "b"], None)
    assert found == StillDue(frozenset({"b"}), whole=True)


class OverlappingOpus(Opus):
    """Opus while records move back in the list: each page repeats the end of the one before."""

    @override
    async def _page(self, connection: str, before: datetime, index: str | None, size: int) -> DuePage:
        keys, following = {None: ("ab", "1"), "1": ("bc", "2"), "2": ("cbd", None)}[index]
        return DuePage(tuple({"rowKey": key} for key in keys), following)


@pytest.mark.parametrize("top", [1, 2, 3, 4, 100])
async def test_one_call_lists_no_record_twice_when_pages_overlap(bench: Bench, top: int) -> None:
    settings = bench.services.settings
    opus = OverlappingOpus(opus_api(settings), transport=bench.services.transport, dates=dates_of(settings))
    answers: list[list[object]] = []
    cursor: Cursor | None = Cursor()
    while cursor is not None:
        due = await opus.due(CONNECTION, BEFORE, top=top, start=cursor)
        answers.append([record["rowKey"] for record in due.records])
        cursor = due.next_cursor

    assert all(len(set(keys)) == len(keys) <= top for keys in answers)
    assert {key for keys in answers for key in keys} == {*"abcd"}


@pytest.mark.parametrize("top", [1, 2, 3, 100])
async def test_the_same_records_under_ever_new_indexes_end_with_an_error(bench: Bench, top: int) -> None:
    for index in range(40):
        bench.fault(body={"startIndex": str(index), "queriedItems": [{"rowKey": "a"}, {"rowKey": "b"}]})
    opus = opus_of(bench.services)

    async def follow() -> None:
        cursor: Cursor | None = Cursor()
        while cursor is not None:
            cursor = (await opus.due(CONNECTION, BEFORE, top=top, start=cursor)).next_cursor

    with pytest.raises(BrokenChain, match="without end"):
        await follow()
    assert bench.asked("GET") <= 6


async def test_an_unknown_connection_is_told_by_its_parameter(bench: Bench) -> None:
    bench.fault(times=None, status=404)

    with pytest.raises(Rejected, match="404") as caught:
        await opus_of(bench.services).due(CONNECTION, BEFORE, top=1, start=Cursor())

    assert "opusConnectionId" in caught.value.text


async def test_a_submit_to_an_unknown_connection_says_so_too(bench: Bench) -> None:
    bench.fault(times=None, status=404)

    operation = (await bench.submit(records(1))).operation

    assert operation.failed[0].code == "UpstreamRejected"
    assert "Check opusConnectionId" in operation.failed[0].message
    assert "_URL" not in operation.failed[0].message


async def test_without_a_token_nothing_was_sent(bench: Bench) -> None:
    bench.fault(path="/connect/token", times=None, status=500)

    assert isinstance(await opus_of(bench.services).destroy(["a"]), NotSentYet)
    assert bench.asked("DELETE") == 0


async def test_the_legacy_generation_is_spoken_to_the_same_way(reopen: Reopen) -> None:
    bench = reopen(opus_api="connector", opus_dispose_path="/api/connector/Dispose")
    failed = [{"Item": {"RowKey": "b"}, "Message": "No term"}]
    bench.fault(path="*/GetDueRecords", body={"pageIndex": "", "queriedItems": [{"rowKey": "a"}]})
    bench.fault(path="*/SubmitRecords", body={"Message": "Some failed", "FailedItems": failed})
    bench.fault(path="*/Dispose", body={"message": "Success", "failedItems": []})
    opus = opus_of(bench.services)

    due = await opus.due(CONNECTION, BEFORE, top=10, start=Cursor())
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
