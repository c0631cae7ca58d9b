"""The legacy generation: other paths, other casing and other dates, and the same promises."""

import pytest

from sandbox.avepoint.opus_legacy import DISPOSE_PATH, DUE_PATH, SUBMIT_PATH
from tests.opus.conftest import BEFORE, CONNECTION, Bench, ids, records


@pytest.fixture
def environ(environ: dict[str, str]) -> dict[str, str]:
    legacy = {"OPUS_API": "connector", "OPUS_DISPOSE_PATH": DISPOSE_PATH}
    return environ | legacy | {"AVEPOINT_OPUS_URL": environ["AVEPOINT_GRAPH_URL"]}


async def test_records_are_submitted_and_destroyed_once(bench: Bench) -> None:
    submitted = (await bench.submit(records(20))).operation
    keys = [record.row_key for record in bench.avepoint.avepoint.opus.records]

    destroyed = (await bench.destroy(ids(keys, opusConnectionId=CONNECTION, before=BEFORE))).operation

    assert (submitted.status, submitted.succeeded, destroyed.status, destroyed.succeeded) == (
        *("Succeeded", 20),
        *("Succeeded", 20),
    )
    assert bench.destroyed() == dict.fromkeys(keys, 1)
    assert {(entry.method, entry.path) for entry in bench.avepoint.requests("/api/connector/*")} == {
        ("POST", SUBMIT_PATH),
        ("POST", DUE_PATH),
        ("POST", DISPOSE_PATH),
    }


async def test_dates_are_written_as_the_tenant_has_them(bench: Bench) -> None:
    await bench.submit(records(1))

    (stored,) = bench.avepoint.avepoint.opus.records

    assert stored.fields["timeCreated"] == "2020-01-15 08:30:00"


class TestAnotherFormat:
    @pytest.fixture
    def environ(self, environ: dict[str, str]) -> dict[str, str]:
        return environ | {"OPUS_DATE_FORMAT": "%d.%m.%Y"}

    async def test_what_the_tenant_does_not_read_fails_and_says_so(self, bench: Bench) -> None:
        operation = (await bench.submit(records(1))).operation

        assert operation.status == "Failed"
        assert "timeCreated is not in the date and time format" in operation.failed[0].message


async def test_failed_items_are_read_in_their_own_casing(bench: Bench) -> None:
    bench.fault(path=SUBMIT_PATH, failRowKeys="record-0001")

    operation = (await bench.submit(records(3))).operation

    assert [(item.index, item.message) for item in operation.failed] == [(1, "Term not found.")]


async def test_a_lost_answer_is_looked_up_among_what_is_still_due(bench: Bench) -> None:
    keys = await bench.fill(3)
    bench.fault(path=DISPOSE_PATH, cut=0)

    started = await bench.destroy(ids(keys, opusConnectionId=CONNECTION, before=BEFORE))
    operation = (await bench.finish(started.operation.operation_id)).operation

    assert (operation.status, operation.succeeded) == ("Succeeded", 3)
    assert bench.destroyed() == dict.fromkeys(keys, 1)
    assert len(bench.avepoint.requests(DUE_PATH)) == 3


async def test_without_a_way_to_look_it_up_a_lost_answer_stays_uncertain(bench: Bench) -> None:
    keys = await bench.fill(1)
    bench.fault(path=DISPOSE_PATH, cut=0, execute=True)

    operation = (await bench.destroy(ids(keys))).operation

    assert operation.status == "Uncertain"
    assert bench.destroyed() == dict.fromkeys(keys, 1)
