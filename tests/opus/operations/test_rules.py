from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.avepoint.opus_answers import Processed
from shared.opus.client.due_list import StillDue
from shared.opus.client.verdicts import Answered, CallVerdict, Later, NotSent, Refused, Unknown
from shared.opus.ledger.documents import Batch, Order, Outcome
from shared.opus.ledger.reporting import finished_operation
from shared.opus.operations.rules import DOUBTS, OperationLimits, Work

NOW = datetime(2026, 1, 15, 8, 30, tzinfo=UTC)
LIMITS = OperationLimits(timedelta(hours=6), timedelta(minutes=5))
TRIES = DOUBTS


def order(count: int, *, kind: str = "destroy", look_up: bool = False) -> Order:
    keys = [f"r{number}" for number in range(count)]
    return Order.model_validate(
        {
            "operationId": "0" * 32,
            "kind": kind,
            "caller": "key",
            "client": {},
            "fingerprint": "",
            "connection": "c" if look_up or kind == "submit" else None,
            "createdAt": NOW,
            "conflictOption": "Overwrite" if kind == "submit" else None,
            "records": [{"rowKey": key} for key in keys] if kind == "submit" else [],
            "ids": keys if kind == "destroy" else [],
            "before": NOW if look_up else None,
        }
    )


@given(count=st.integers(1, 1000), kind=st.sampled_from(["submit", "destroy"]))
def test_batches_hold_every_item_once_in_order_and_at_most_15(count: int, kind: str) -> None:
    asked = order(count, kind=kind)
    batches = [asked.indexes(number) for number in range(asked.batch_count)]

    assert [index for batch in batches for index in batch] == list(range(count))
    assert all(1 <= len(batch) <= 15 for batch in batches)


def test_patience_does_not_last_until_a_time_still_to_come() -> None:
    ahead = Batch(phase="sent", sent_at=NOW, first_sent_at=NOW + timedelta(days=365))
    found = Work(order(1, kind="submit"), 0, ahead, NOW, LIMITS).apply(Unknown("no answer"))
    assert isinstance(found, Outcome)
    assert [item.repeatable for item in found.uncertain] == [True]


VERDICTS: st.SearchStrategy[CallVerdict] = st.one_of(
    st.builds(
        lambda failed: Answered(Processed({f"r{index}": "no" for index in failed}), 200, ""),
        st.sets(st.integers(0, 19)),
    ),
    st.just(Refused("UpstreamRejected", "no")),
    st.just(Later(NOW)),
    st.just(NotSent("no connection")),
    st.just(Unknown("no answer")),
)


@given(
    verdicts=st.lists(VERDICTS, min_size=TRIES, max_size=3 * TRIES),
    kind=st.sampled_from(["submit", "destroy"]),
    still_due=st.sets(st.integers(0, 19)),
    seen_due=st.sets(st.integers(0, 19)),
)
def test_every_item_ends_in_one_place_and_doubt_is_never_lost(
    verdicts: list[CallVerdict], kind: str, still_due: set[int], seen_due: set[int]
) -> None:
    asked = order(20, kind=kind, look_up=True)
    due = StillDue(frozenset(f"r{index}" for index in still_due), whole=True)
    batch: Batch | Outcome = Batch(seen_due=tuple(seen_due))
    doubted = False
    for verdict in verdicts:
        if not isinstance(batch, Batch):
            break
        work = Work(asked, 1, batch, NOW, LIMITS)
        sent = [key for _, key in work.items]
        if isinstance(verdict, Answered):
            verdict = Answered(Processed({k: v for k, v in verdict.processed.failed.items() if k in sent}), 200, "")  # noqa: PLW2901 - narrowed
        doubted = doubted or isinstance(verdict, Unknown)
        batch = work.apply(verdict)
        for _ in range(2):
            if isinstance(batch, Batch) and batch.phase == "unknown":
                batch = Work(asked, 1, batch, NOW, LIMITS).apply_lookup(due)

    outcome = batch if isinstance(batch, Outcome) else Work(asked, 1, batch, NOW, LIMITS).stopped("GivenUp", "often")

    named = [item.index for item in outcome.failed] + [item.index for item in outcome.uncertain]
    assert len(named) == len(set(named))
    assert set(named) <= set(range(15, 20))
    assert outcome.succeeded + outcome.skipped + len(named) == 5
    if kind == "destroy" and doubted:
        gone = set(range(15, 20)) - still_due
        assert gone - seen_due <= {item.index for item in outcome.uncertain}
        assert {f"r{index}" for index in gone & seen_due} == set(outcome.confirmed)
        assert outcome.failed == ()
    if not doubted:
        assert outcome.uncertain == ()


def test_a_record_that_the_list_has_in_another_spelling_is_neither_due_nor_gone() -> None:
    alike = StillDue(frozenset(), whole=True, alike=frozenset({"r0"}))
    fresh = Work(order(1, look_up=True), 0, Batch(), NOW, LIMITS).apply_first_look(alike)
    lost = Batch(phase="unknown", maybe_executed=True, seen_due=(0,), due_before=(0,))
    looked_up = Work(order(1, look_up=True), 0, lost, NOW, LIMITS).apply_lookup(alike)

    assert isinstance(fresh, Outcome)
    assert [item.code for item in fresh.failed] == ["NotDue"]
    assert "exactly this id" in fresh.failed[0].message
    assert isinstance(looked_up, Outcome)
    assert (looked_up.succeeded, looked_up.confirmed) == (0, ())
    assert "another spelling" in looked_up.uncertain[0].reason


def test_patience_does_not_count_as_a_try() -> None:
    batch: Batch | Outcome = Batch()
    for _ in range(3 * TRIES):
        assert isinstance(batch, Batch)
        batch = Work(order(1), 0, batch, NOW, LIMITS).apply(Later(NOW))

    assert batch == Batch()


@pytest.mark.parametrize(
    ("succeeded", "failed", "uncertain", "status"),
    [
        (3, 0, 0, "Succeeded"),
        (0, 3, 0, "Failed"),
        (0, 0, 3, "Uncertain"),
        (0, 1, 2, "Uncertain"),
        (1, 2, 0, "PartiallySucceeded"),
        (1, 0, 2, "PartiallySucceeded"),
    ],
)
def test_the_status_of_a_finished_operation(succeeded: int, failed: int, uncertain: int, status: str) -> None:
    items = [{"index": index, "id": "r", "code": "c", "message": "m", "reason": "r"} for index in range(3)]
    outcome = Outcome.model_validate(
        {
            "batch": 0,
            "succeeded": succeeded,
            "skipped": 0,
            "failed": items[:failed],
            "uncertain": items[:uncertain],
            "sentAt": NOW,
            "finishedAt": NOW,
            "status": 200,
            "answer": "",
            "troubles": [],
        }
    )

    assert finished_operation(order(3), [outcome]).status == status
