from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.avepoint.page import Page
from shared.avepoint.paging import LoopGuard
from shared.azure.storage import Storage
from shared.harvest.slices.progress import Progress
from shared.harvest.snapshots.manifest import (
    PUBLISHED,
    Manifest,
    Total,
    Verdict,
    advance_latest,
    judge_snapshot,
    read_latest,
    write_manifest,
)


@pytest.mark.parametrize(
    ("items", "total", "previous", "verdict"),
    [
        (5, Total(min=5, max=5), None, "complete"),
        (0, Total(min=0, max=0), 9, "complete"),
        (5, None, None, "complete_unverified"),
        (0, None, None, "complete_unverified"),
        (0, None, 0, "complete_unverified"),
        (0, None, 9, "suspect_empty"),
    ],
)
def test_verdict(items: int, total: Total | None, previous: int | None, verdict: Verdict) -> None:
    assert judge_snapshot(items, total, previous_items=previous) == verdict


@pytest.mark.parametrize(
    ("short", "surplus", "capped", "verdict"),
    [
        (False, False, False, "complete"),
        (False, True, False, "surplus"),
        (True, True, True, "short"),
        (False, True, True, "capped"),
    ],
)
def test_the_worst_of_several_verdicts_counts(short: bool, surplus: bool, capped: bool, verdict: Verdict) -> None:  # noqa: FBT001 - cases of one table
    total = Total(min=5, max=5)
    assert judge_snapshot(5, total, previous_items=None, short=short, surplus=surplus, capped=capped) == verdict


def chain(progress: Progress, items: int, *totals: int | None) -> Progress:
    """``progress`` after one more chain of pages that gave so many items and these totals."""
    for total in totals:
        page = Page(items=[], total=total, link=None, pretty=False)
        guard = LoopGuard(items=items, pages=1)
        progress = progress.with_page(page, guard=guard, retries=0, waited=timedelta(0))
    return progress.with_chain_ended(progress.chain)


@given(items=st.integers(0, 50), totals=st.lists(st.integers(0, 50), min_size=1, max_size=5))
def test_a_chain_is_judged_by_the_totals_that_came_while_it_was_paged(items: int, totals: list[int]) -> None:
    ended = chain(Progress(), items, *totals)
    assert ended.short == (items < min(totals))
    assert ended.surplus == (items > max(totals))
    assert ended.server_total == Total(min=min(totals), max=max(totals))


def test_a_short_chain_is_not_made_up_for_by_another_with_a_surplus() -> None:
    both = chain(chain(Progress(), 4, 5), 6, 5)
    assert (both.short, both.surplus, both.server_total) == (True, True, Total(min=10, max=10))


def test_one_chain_without_a_total_leaves_all_without() -> None:
    assert chain(chain(Progress(), 4, 4), 6, None).server_total is None


def manifest(run_id: str, *, verdict: Verdict = "complete", finished: int = 1) -> Manifest:
    instant = datetime(2026, 1, 1, 0, 0, finished, tzinfo=UTC)
    return Manifest(
        run_id=run_id,
        source="graph",
        dataset="aos-jobs",
        kind="full",
        verdict=verdict,
        published=verdict in PUBLISHED,
        items=1,
        duplicates=0,
        pages=1,
        requests=1,
        retries=0,
        wait_seconds=0,
        server_total=None,
        raw_bytes=1,
        bytes=1,
        fields=(),
        tenants=None,
        parts=(),
        started_at=instant,
        finished_at=instant,
        previous_run_id=None,
        app_version="0",
    )


OLD, NEW = "20260101T010000Z-graph", "20260102T010000Z-graph"


class TestLatest:
    """Promise 1: ``latest`` never moves back, and names nothing that is held back."""

    async def test_moves_forward(self, storage: Storage) -> None:
        for run_id in (OLD, NEW):
            await advance_latest(storage, manifest(run_id))
        assert await _latest(storage) == NEW

    async def test_never_moves_back(self, storage: Storage) -> None:
        for run_id in (NEW, OLD):
            await advance_latest(storage, manifest(run_id))
        assert await _latest(storage) == NEW

    async def test_the_one_that_finished_later_wins_within_a_second(self, storage: Storage) -> None:
        for suffix, finished in (("bbbbbb", 1), ("aaaaaa", 2)):
            await advance_latest(storage, manifest(f"{OLD}-{suffix}", finished=finished))
        assert await _latest(storage) == f"{OLD}-aaaaaa"

    @pytest.mark.parametrize("verdict", ["short", "suspect_empty", "failed"])
    async def test_stays_where_it_is_when_the_snapshot_is_held_back(self, storage: Storage, verdict: Verdict) -> None:
        await advance_latest(storage, manifest(OLD))
        await advance_latest(storage, manifest(NEW, verdict=verdict))
        assert await _latest(storage) == OLD

    async def test_manifest_is_written_once(self, storage: Storage) -> None:
        first = await write_manifest(storage, manifest(OLD, finished=1))
        second = await write_manifest(storage, manifest(OLD, finished=2))
        assert second == first


async def _latest(storage: Storage) -> str | None:
    latest = await read_latest(storage, "graph", "aos-jobs")
    return latest.run_id if latest else None
