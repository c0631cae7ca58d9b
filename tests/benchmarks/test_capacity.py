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
        python, module, name, *arguments = shlex.split(command.body)
        assert (python, module, name) == ("python", "-m", "benchmarks.capacity")
        assert answer is not None
        assert said(capsys, *arguments) == answer.body.splitlines()


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0"), (0.05, "50 ms"), (1, "1 s"), (90, "1.5 min"), (7200, "2 h"), (133_200, "37 h")]
)
def test_durations_are_short(seconds: float, text: str) -> None:
    assert shown(timedelta(seconds=seconds)) == text
