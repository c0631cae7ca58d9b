from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.harvest.snapshot import (
    PUBLISHED,
    Manifest,
    Total,
    Verdict,
    advance_latest,
    judge,
    read_latest,
    write_manifest,
)
from shared.storage import Storage


@pytest.mark.parametrize(
    ("items", "totals", "previous", "verdict"),
    [
        (5, [Total(min=5, max=5)], None, "complete"),
        (5, [Total(min=4, max=6)], None, "complete"),
        (0, [Total(min=0, max=0)], 9, "complete"),
        (5, [None], None, "complete_unverified"),
        (0, [None], None, "complete_unverified"),
        (0, [None], 0, "complete_unverified"),
        (7, [Total(min=4, max=6)], None, "surplus"),
        (3, [Total(min=4, max=6)], None, "short"),
        (0, [Total(min=4, max=6)], 9, "short"),
        (0, [None], 9, "suspect_empty"),
        (9, [Total(min=4, max=4), Total(min=5, max=5)], None, "complete"),
        (9, [Total(min=4, max=4), None], None, "complete_unverified"),
    ],
)
def test_verdict(items: int, totals: Sequence[Total | None], previous: int | None, verdict: Verdict) -> None:
    assert judge(items, totals, previous_items=previous) == verdict


def test_verdict_on_a_snapshot_whose_parents_were_limited() -> None:
    assert judge(5, [None], previous_items=None, capped=True) == "capped"


@given(items=st.integers(0, 50), low=st.integers(0, 50), span=st.integers(0, 9), previous=st.none() | st.integers(0, 9))
def test_fewer_than_every_total_is_never_published(items: int, low: int, span: int, previous: int | None) -> None:
    verdict = judge(items, [Total(min=low, max=low + span)], previous_items=previous)
    assert (verdict in PUBLISHED) == (items >= low)


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
