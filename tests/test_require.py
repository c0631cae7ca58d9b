"""A missing program skips a test on a laptop, and fails it where all tests have to run."""

import sys
from pathlib import Path

import pytest

from tests.require import require


def test_a_program_that_is_there_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    assert Path(require("python", why="it runs the tests")).exists()


def test_so_is_one_that_stands_beside_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert require("python", why="it runs the tests", beside=Path(sys.executable).parent)


def test_without_it_the_test_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REQUIRE_ALL", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no-such-program is not on the path: nobody has it"):
        require("no-such-program", why="nobody has it")


def test_or_fails_where_nothing_may_be_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUIRE_ALL", "1")
    with pytest.raises(pytest.fail.Exception, match="no-such-program"):
        require("no-such-program", why="nobody has it")
