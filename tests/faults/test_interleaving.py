"""Nights and past stretches, in whatever order and at once: each line stands once, and none is left out (promise 2)."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.harvest.plan.run import Run
from shared.harvest.plan.windows import Window
from shared.harvest.runs.starting import start_requested
from shared.harvest.snapshots.manifest import Manifest
from shared.tables.values.rows import line_hash
from tests.faults.promises import lines, snapshots
from tests.faults.scenarios import A_PAGE_A_SLICE, Scenario
from tests.faults.test_publishers import CHILD
from tests.faults.world import Host, Simulation, World
from tests.tables.nights import Nights

EVERY = timedelta(minutes=45)
AUDIT = Scenario(
    "audit",
    ("aos-audit",),
    settings={"window_days": 3, **A_PAGE_A_SLICE},
    simulation={"items": 2000, "everyMinutes": 45, "rowsPerPage": 15},
)

type Step = tuple[tuple[int, int] | None, ...]
"""What begins at the same time: a night, or a stretch from so many hours ago to so many."""

type Story = Sequence[tuple[Step, int]]
"""What happens, each with the hours until the next."""

STRETCH = st.tuples(st.integers(2, 240), st.integers(0, 120)).filter(lambda hours: hours[0] > hours[1])
STEP = st.lists(st.none() | STRETCH, min_size=1, max_size=2).map(tuple)
STORY = st.lists(st.tuples(STEP, st.integers(1, 40)), min_size=1, max_size=5)

STRETCH_FIRST: Story = [(((100, 0),), 20)]
STRETCHES_AT_ONCE: Story = [((None,), 20), (((120, 90), (110, 70)), 3)]
ALL_AT_ONCE: Story = [(((90, 5), None), 0), ((None, (90, 5)), 1)]


async def told(scenario: Scenario, story: Story) -> tuple[World, list[Window]]:
    """Play a story, with a night at its end, and return which stretches were harvested on request."""
    world = await scenario.opened(Simulation.create())
    host, asked = Host(world), list[Window]()
    for step, hours in (*story, ((None,), 0)):
        runs = [await begin(world, host, scenario, stretch) for stretch in step]
        await host.settle()
        asked += [run.stretch for run in runs if run.stretch and not is_held(run)]
        world.clock.now += timedelta(hours=hours)
        world.avepoint.change({"now": world.clock.now.isoformat()})
    return world, asked


async def begin(world: World, host: Host, scenario: Scenario, hours: tuple[int, int] | None) -> Run:
    now = world.clock.now
    stretch = Window(from_=now - timedelta(hours=hours[0]), to=now - timedelta(hours=hours[1])) if hours else None
    return await host.run(partial(start_requested, source="graph", names=scenario.datasets, stretch=stretch))


def is_held(run: Run) -> bool:
    return "still holds it" in (run.datasets[0].skipped or "")


async def check_no_line_stands_twice(
    scenario: Scenario, story: Story
) -> tuple[World, list[Manifest], set[bytes], list[Window]]:
    world, asked = await told(scenario, story)
    published = [one for one in (await snapshots(world.storage)).values() if one.published and one.window]
    stored = Counter([line for one in published for line in await lines(world.storage, one)])
    assert stored.total() == len(stored), stored.most_common(3)
    return world, published, set(stored), asked


async def check_every_line_stands_once(story: Story, *, with_table: bool = False) -> None:
    world, published, stored, asked = await check_no_line_stands_twice(AUDIT, story)
    there = {datetime.fromisoformat(msgspec.json.decode(line)["actionTime"]) for line in stored}
    until = max(one.window.to for one in published if one.window and not one.backfill)
    for window in (*asked, *(one.window for one in published if one.window)):
        first = window.from_ - (window.from_ - datetime.min.replace(tzinfo=UTC)) % -EVERY
        wanted = {first + number * EVERY for number in range((min(window.to, until) - first) // EVERY + 1)}
        assert wanted <= there, (window, sorted(wanted - there)[:3])
    if with_table:
        table = Nights.of(world.storage, world.clock, "graph/aos-audit")
        while await table.build() != "nothing to do":
            continue
        assert sorted(table.table()["_line_hash"]) == sorted(map(line_hash, stored))


@example(story=STRETCH_FIRST)
@example(story=STRETCHES_AT_ONCE)
@example(story=ALL_AT_ONCE)
@settings(max_examples=4)
@given(story=STORY)
async def test_whatever_the_order_each_line_stands_once(story: Story) -> None:
    await check_every_line_stands_once(story)


@example(story=[((None,), 20), (((200, 10),), 3), ((None,), 30), ((None,), 3)])
@settings(max_examples=1)
@given(story=STORY)
async def test_whatever_the_order_no_line_of_a_parent_stands_twice(story: Story) -> None:
    """Not even those of items without a key, which no table can merge."""
    await check_no_line_stands_twice(CHILD, story)


async def test_the_table_holds_what_the_snapshots_hold_whatever_their_order() -> None:
    await check_every_line_stands_once([*STRETCH_FIRST, *STRETCHES_AT_ONCE, *ALL_AT_ONCE], with_table=True)


@pytest.mark.slow
@settings(max_examples=40)
@given(story=STORY)
async def test_in_any_order_at_all_each_line_stands_once(story: Story) -> None:
    await check_every_line_stands_once(story, with_table=True)
    await check_no_line_stands_twice(CHILD, story)
