"""``./avepoint`` as it is typed: help, mistakes, terminals, pipes and locales."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from io import BytesIO, StringIO, TextIOWrapper
from pathlib import Path
from typing import override

import pytest

from sandbox.processes import ROOT
from shared.version import VERSION
from tests.terminal import on_a_terminal
from tools.commands.__main__ import main
from tools.commands.listing import COMMANDS
from tools.commands.speaking import has_colours, painted, renamed, spoken

AVEPOINT = ROOT / "avepoint"
BARE = {"PATH": os.environ["PATH"]}
WRITERS = ("handbook", "field_dictionary", "package", "openapi", "connector", "pictures", "api_page")
LOCAL = [name for name, command in COMMANDS.items() if command.module]


class Terminal(StringIO):
    @override
    def isatty(self) -> bool:
        return True


def ran(
    *arguments: str, cwd: Path = ROOT, environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    env = {**BARE, **(environ or {})}
    return subprocess.run(  # noqa: S603 - ours
        [AVEPOINT, *arguments], cwd=cwd, env=env, capture_output=True, text=True, check=False
    )


def test_every_command_of_the_app_is_one_of_them() -> None:
    files = [path for path in (ROOT / "shared").rglob("*.py") if '__name__ == "__main__"' in path.read_text()]
    modules = {".".join(path.relative_to(ROOT).with_suffix("").parts) for path in files}
    assert modules <= {command.module for command in COMMANDS.values()}
    assert [name for name in LOCAL if find_spec(COMMANDS[name].module) is None] == []


@pytest.mark.parametrize(("arguments", "status"), [([], 2), (["--help"], 0), (["-h"], 0)])
def test_all_commands_are_listed_in_eighty_columns(
    capsys: pytest.CaptureFixture[str], arguments: list[str], status: int
) -> None:
    assert main(arguments) == status
    lines = capsys.readouterr().out.splitlines()
    assert {line.split()[0] for line in lines if line.startswith("  ")} == COMMANDS.keys()
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("name", COMMANDS)
def test_help_explains_a_command(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Under the name that was typed, with every option, every exit status, and an example."""
    monkeypatch.setenv("COLUMNS", "80")
    assert main([name, "--help"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"usage: ./avepoint {name} ")
    assert "python -m" not in shown
    options = re.findall(r"^  (-.*)", shown, re.MULTILINE)
    assert all(re.search(r"\S  +\S", option) or len(option) > 20 for option in options), options
    assert [int(digit) for digit in re.findall(r"^  (\d)  \S", shown, re.MULTILINE)] == [
        status for status, meaning in enumerate(COMMANDS[name].exits) if meaning
    ]
    assert f"example: ./avepoint {COMMANDS[name].example.split()[0]}" in shown
    assert max(map(len, shown.splitlines())) <= 80


@pytest.mark.parametrize("name", COMMANDS)
def test_examples_are_calls_of_their_command(name: str) -> None:
    assert COMMANDS[name].example.split()[0] == name


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"avepoint-functions {VERSION}\n"


def test_a_misspelt_command_is_refused_with_the_closest_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evidnce"]) == 2
    assert "the closest name is 'evidence'" in capsys.readouterr().err


@pytest.mark.parametrize("name", [name for name in LOCAL if COMMANDS[name].has_settings])
def test_settings_go_for_every_command(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    """Also for those that know nothing of files; a file that cannot be used is named."""
    monkeypatch.setattr(os, "environ", dict(BARE))
    missing = tmp_path / "none.json"
    assert main([name, "--settings", str(missing)]) == 2
    assert f"{missing} cannot be used" in capsys.readouterr().err
    (tmp_path / "sample.json").write_bytes((ROOT / "local.settings.sample.json").read_bytes())
    assert main([name, f"--settings={tmp_path / 'other.json'}"]) == 2


@pytest.mark.parametrize("name", [name for name in LOCAL if COMMANDS[name].has_settings])
def test_settings_without_a_file_are_refused_in_the_name_of_the_command(
    capsys: pytest.CaptureFixture[str], name: str
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([name, "--settings"])
    assert f"./avepoint {name}: error: argument --settings: expected one argument" in capsys.readouterr().err


def test_placeholders_are_refused_by_name() -> None:
    done = ran("doctor", "--settings", str(ROOT / "local.settings.sample.json"))
    assert done.returncode == 1
    assert "error    AVEPOINT_CLIENT_ID" in done.stdout
    assert "still holds the placeholder of the sample" in done.stdout


def test_it_works_from_any_folder_through_a_link(tmp_path: Path) -> None:
    """What lies there under the names of our packages is not imported."""
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "__init__.py").write_text("raise SystemExit(3)")
    (tmp_path / "link").symlink_to(AVEPOINT)
    done = subprocess.run(  # noqa: S603 - ours
        [tmp_path / "link", "capacity"], cwd=tmp_path, env=BARE, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_it_sets_up_the_environment_that_is_missing(tmp_path: Path) -> None:
    shutil.copy(AVEPOINT, tmp_path)
    shell = r"#!/bin/sh\necho python $$*"
    (tmp_path / "Makefile").write_text(
        ".venv/ready:\n\t@echo setting up\n\t@mkdir -p .venv/bin\n"
        f"\t@printf '{shell}\\n' > .venv/bin/python\n\t@chmod +x .venv/bin/python\n\t@touch $@\n"
    )
    done = subprocess.run(  # noqa: S603 - ours
        [tmp_path / "avepoint", "doctor"], env=BARE, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("python -P -m tools.commands doctor\n", "setting up\n")


@pytest.mark.parametrize("command", [[AVEPOINT, "doctor"], [sys.executable, "-m", "shared.doctor"]])
def test_a_reader_that_goes_away_is_no_fault(command: list[str | Path]) -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run(  # noqa: S603 - ours
            [*command, "--json"], cwd=ROOT, stdout=write, stderr=subprocess.PIPE, env=BARE, check=False
        )
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (141, b"")


def test_a_locale_without_the_character_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    written = BytesIO()
    monkeypatch.setattr(sys, "stdout", TextIOWrapper(written, encoding="ascii"))
    for as_it_is in (False, True):
        with spoken({}, as_it_is=as_it_is):
            sys.stdout.write("é")
            sys.stdout.flush()
    assert written.getvalue() == rb"\xe9\xe9"


@pytest.mark.parametrize(
    ("environ", "coloured"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True), ({"TERM": "dumb"}, False)],
)
def test_colours_are_for_terminals_that_want_them(environ: dict[str, str], *, coloured: bool) -> None:
    assert has_colours(Terminal(), {"TERM": "xterm", **environ}) is coloured
    assert not has_colours(StringIO(), {"TERM": "xterm", **environ})


async def test_a_terminal_shows_them() -> None:
    _, shown = await on_a_terminal(AVEPOINT, "doctor", environ={"HARVEST_NO": "1"})
    assert "\x1b[31merror\x1b[0m    HARVEST_NO" in shown


def test_verdicts_and_remedies_are_told_apart() -> None:
    assert painted("ok  a\n  -> do\nokay") == "\x1b[32mok\x1b[0m  a\n\x1b[2m  -> do\x1b[0m\nokay"


def test_remedies_name_the_command_as_it_is_typed() -> None:
    assert renamed("python -m shared.doctor --repair says") == "./avepoint doctor --repair says"
    assert renamed("python -m shared.doctor.other") == "python -m shared.doctor.other"


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.slow
def test_help_of_a_writer_of_pages_writes_none(tmp_path: Path, writer: str) -> None:
    for name in ("shared", "functions", "sandbox", "tools", "docs"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "function_app.py", tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.suffix != ".pyc"}
    for option, status in (("--help", 0), ("--nothing", 2)):
        command = (sys.executable, "-B", "-m", f"tools.{writer}", option)
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)  # noqa: S603 - ours
        assert done.returncode == status, done.stderr
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.suffix != ".pyc"} == before
