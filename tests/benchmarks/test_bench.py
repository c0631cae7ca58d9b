"""The whole benchmark at its smallest: everything is measured, and the pages are made of it."""

from pathlib import Path

import pytest

from benchmarks.__main__ import DOCS, PAGES, main
from benchmarks.results import KEPT, Results
from benchmarks.scenarios import QUICK, goals, scenarios
from benchmarks.suite import run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
async def results() -> Results:
    return await run(QUICK, say=lambda _: None)


def test_every_scenario_did_all_of_its_work(results: Results) -> None:
    planned = scenarios(QUICK)
    assert [one.name for one in results.scenarios] == [one.name for one in planned]
    for scenario in results.scenarios:
        assert [took.items for took in scenario.runs] == [scenario.items] * QUICK.rounds
        assert all(took.wall >= scenario.floor and took.cpu > 0 and took.peak_bytes > 0 for took in scenario.runs)


def test_the_contenders_write_the_same_lines(results: Results) -> None:
    """Ours and the limit pipeline compress alike, so that they come to the same size."""
    limit, ours = results.scenarios[:2]
    assert limit.runs[0].bytes == pytest.approx(ours.runs[0].bytes, rel=0.01)


def test_the_overhead_of_everything_is_known(results: Results) -> None:
    cost = {one.name: (one.reads, one.writes) for one in results.overheads}
    assert cost["a token from the cache"] == (0, 0)
    assert cost["the request budget"][1] > 0
    assert cost["10 parts with their checkpoints"][1] >= 20


def test_harvests_end_well_through_the_real_host(results: Results) -> None:
    planned = [*(items for items, _, _ in QUICK.end_to_end), *QUICK.windowed]
    assert [one.items for one in results.end_to_end] == planned
    assert all(one.parts and one.seconds and one.cpu and one.peak_bytes for one in results.end_to_end)


def test_every_goal_is_judged(results: Results) -> None:
    assert results.goals == tuple(goals(results))
    assert len({goal.name for goal in results.goals}) == len(results.goals) == 17


def test_pages_are_made_of_what_was_kept(results: Results, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = tmp_path / "results.json"
    kept.write_bytes(results.to_json())
    main(["--write-docs", "--results", str(kept), "--docs", str(tmp_path)])

    written = (tmp_path / "benchmarks.md").read_text()
    assert capsys.readouterr().out == f"{written}\n"
    for scenario in results.scenarios:
        assert f"| {scenario.name} | {scenario.items:,} | " in written
    for goal in results.goals:
        assert f"| {goal.name} | " in written
    assert results.machine.cpu in written
    assert (tmp_path / "capacity.md").read_text().startswith("# Capacity")


def test_a_quick_run_does_not_replace_a_whole_one(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--quick"])
    assert "does not replace" in capsys.readouterr().err


@pytest.mark.parametrize("name", PAGES)
def test_the_docs_are_up_to_date(name: str) -> None:
    kept = Results.from_json(KEPT.read_bytes())
    assert kept.rounds >= 5
    assert (DOCS / name).read_text() == PAGES[name](kept), "run make bench, or python -m benchmarks --write-docs"


async def test_some_is_measured_again_and_the_rest_stays(results: Results) -> None:
    again = await run(QUICK, say=lambda _: None, kept=results, again=frozenset({"limit"}))
    assert again.scenarios[0].runs != results.scenarios[0].runs
    assert again.scenarios[1:] == results.scenarios[1:]
    assert (again.overheads, again.end_to_end, again.served) == (results.overheads, results.end_to_end, results.served)
    assert again.goals == tuple(goals(again))
