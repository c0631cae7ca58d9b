"""What docs/first-hour.md says of other files is so."""

import json
import re

from sandbox.host.server import PORT
from sandbox.processes import ROOT

PAGE = (ROOT / "docs" / "first-hour.md").read_text()
CONTAINER = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())


def test_the_workbook_goes_by_its_name() -> None:
    template = (ROOT / "infra" / "modules" / "workbook.bicep").read_text()
    (shown,) = re.findall(r"displayName: '(.+)'", template)
    assert f"*{shown}*" in re.sub(r"\s+", " ", PAGE)


def test_the_container_sets_up_what_the_two_commands_need() -> None:
    makefile = (ROOT / "Makefile").read_text()
    _, *targets = CONTAINER["postCreateCommand"].replace("--silent ", "").split()
    assert set(targets) == set(re.findall(r"^start: (.*?) ##", makefile, re.MULTILINE)[0].split())
    assert CONTAINER["forwardPorts"] == [PORT]
    assert CONTAINER["image"].endswith(f":{(ROOT / '.python-version').read_text().strip()}")


def test_every_way_on_windows_installs_what_the_commands_of_the_pages_call() -> None:
    """The image of the container has curl and git, and no jq."""
    (wsl,) = re.findall(r"^\| WSL \|.*$", PAGE, re.MULTILINE)
    assert "| jq -r " in PAGE
    assert " jq" in wsl
    assert " jq" in CONTAINER.get("onCreateCommand", "")


def test_scripts_end_their_lines_as_linux_does() -> None:
    assert "* text=auto eol=lf" in (ROOT / ".gitattributes").read_text()
