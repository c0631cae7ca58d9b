from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.avepoint.opus import Processed
from shared.opus.documents import Batch, Order, Outcome, finally_told
from shared.opus.rules import TRIES, Work
from shared.opus.verdicts import Answered, Later, NotSent, Refused, Unknown, Verdict

NOW = datetime(2026, 1, 15, 8, 30, tzinfo=UTC)


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


VERDICTS: st.SearchStrategy[Verdict] = st.one_of(
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
)
def test_every_item_ends_in_one_place_and_doubt_is_never_lost(
    verdicts: list[Verdict], kind: str, still_due: set[int]
) -> None:
    asked = order(20, kind=kind, look_up=True)
    batch: Batch | Outcome = Batch()
    doubted = False
    for verdict in verdicts:
        if not isinstance(batch, Batch):
            break
        work = Work(asked, 1, batch, NOW)
        sent = [key for _, key in work.items]
        if isinstance(verdict, Answered):
            verdict = Answered(Processed({k: v for k, v in verdict.processed.failed.items() if k in sent}), 200, "")  # noqa: PLW2901 - narrowed
        doubted = doubted or isinstance(verdict, Unknown)
        batch = work.after(verdict)
        if isinstance(batch, Batch) and batch.phase == "unknown":
            batch = Work(asked, 1, batch, NOW).after_lookup({f"r{index}" for index in still_due})

    outcome = batch if isinstance(batch, Outcome) else Work(asked, 1, batch, NOW).given_up("too often")

    named = [item.index for item in outcome.failed] + [item.index for item in outcome.uncertain]
    assert len(named) == len(set(named))
    assert set(named) <= set(range(15, 20))
    assert outcome.succeeded + outcome.skipped + len(named) == 5
    if kind == "destroy" and doubted:
        lost = set(range(15, 20)) - still_due
        assert lost <= {item.index for item in outcome.uncertain}
    if not doubted:
        assert outcome.uncertain == ()


def test_patience_does_not_count_as_a_try() -> None:
    batch: Batch | Outcome = Batch()
    for _ in range(3 * TRIES):
        assert isinstance(batch, Batch)
        batch = Work(order(1), 0, batch, NOW).after(Later(NOW))

    assert batch == Batch()


def test_skipped_items_are_counted_apart() -> None:
    verdict = Answered(Processed({"r0": "no"}, frozenset({"r1"})), 418, "")

    outcome = Work(order(4, kind="submit"), 0, Batch(), NOW).after(verdict)

    assert isinstance(outcome, Outcome)
    assert (outcome.succeeded, outcome.skipped, len(outcome.failed)) == (2, 1, 1)


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

    assert finally_told(order(3), [outcome]).status == status
