import shlex
from datetime import timedelta

import pytest

from benchmarks.__main__ import DOCS
from benchmarks.capacity import main, shown
from tests.docs.fences import answers


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    main(list(arguments))
    return capsys.readouterr().out.splitlines()


def test_the_calculator_answers_for_a_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "--items", "1000000", "--latency-ms", "200") == [
        "1,000 requests at least, 1 in flight",
        "3.33 min by latency, 0 of waiting for the budget",
        "3.33 min in all, bound by the latency",
    ]


def test_the_calculator_answers_for_parents_and_another_limit(capsys: pytest.CaptureFixture[str]) -> None:
    limits = ("--requests", "1000", "--window-seconds", "60", "--reserved-percent", "20")
    assert said(capsys, "--parents", "2000", "--chains", "8", "--latency-ms", "100", *limits) == [
        "2,000 requests at least, 8 in flight",
        "25 s by latency, 2 min of waiting for the budget",
        "2.08 min in all, bound by the budget",
    ]


def test_the_examples_of_the_page_say_what_it_shows(capsys: pytest.CaptureFixture[str]) -> None:
    examples = list(answers(DOCS / "capacity.md"))
    assert examples
    for command, answer in examples:
        program, name, *arguments = shlex.split(command.body)
        assert (program, name) == ("./avepoint", "capacity")
        assert answer is not None
        assert said(capsys, *arguments) == answer.body.splitlines()


class TestMonth:
    LISTS = ("month", "graph/enpower-powerapps=20000", "graph/enpower-powerapp-launches=100")

    def test_says_what_nights_take(self, capsys: pytest.CaptureFixture[str]) -> None:
        first, requests, *_ = said(capsys, *self.LISTS, "--nights", "10")
        assert first == "nights: 10, from an empty account; lists: 2"
        assert requests.startswith("200,229 requests to AvePoint, 10 hours of waiting")  # one for each parent

    def test_costs_what_the_prices_say(self, capsys: pytest.CaptureFixture[str]) -> None:
        executions = int(said(capsys, *self.LISTS)[2].split()[0].replace(",", ""))
        last = said(capsys, *self.LISTS, "--per-million-executions", "1000")[-1]
        assert last == f"costs {executions / 1000:,.2f}, and 0.00 a month for what is stored"

    def test_tables_take_more(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert said(capsys, *self.LISTS)[-1] > said(capsys, *self.LISTS, "--no-tables")[-1]

    @pytest.mark.parametrize(
        ("lists", "told"),
        [
            (["graph/enpower-powerapp=1"], "the closest name is 'graph/enpower-powerapps'"),
            (["graph/enpower-powerapps"], "is not SOURCE/DATASET=ITEMS"),
            (["graph/enpower-powerapps=x"], "'x' is not a whole number"),
            (["graph/enpower-powerapps=1:0"], "'0' is not a number above 0"),
            (["graph/enpower-powerapp-launches=1"], "name graph/enpower-powerapps, too"),
            (["graph/enpower-powerapps=1", "--page-size", "0"], "it has to be 1 or more"),
            ([], "required"),
        ],
    )
    def test_wrong_input_is_named(self, capsys: pytest.CaptureFixture[str], lists: list[str], told: str) -> None:
        with pytest.raises(SystemExit):
            main(["month", *lists])
        assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0"), (0.05, "50 ms"), (1, "1 s"), (90, "1.5 min"), (7200, "2 h"), (133_200, "37 h")]
)
def test_durations_are_short(seconds: float, text: str) -> None:
    assert shown(timedelta(seconds=seconds)) == text


@pytest.mark.parametrize(
    "arguments",
    [("--page-size", "0"), ("--items", "-5"), ("--latency-ms", "no"), ("--chains", "0"), ("--reserved-percent", "100")],
)
def test_what_cannot_be_is_refused_in_a_sentence(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        said(capsys, *arguments)
    assert f"argument {arguments[0]}: " in capsys.readouterr().err


def test_nothing_may_be_reserved(capsys: pytest.CaptureFixture[str]) -> None:
    assert "2 requests at least, 1 in flight" in said(capsys, "--items", "2000", "--reserved-percent", "0")
