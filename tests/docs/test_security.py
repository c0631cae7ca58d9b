"""SECURITY.md names every package that is deployed, with its licence, and only files and settings that exist."""

import re
from importlib.metadata import metadata

from sandbox.processes import ROOT
from shared.settings import Settings

TEXT = (ROOT / "SECURITY.md").read_text()
LISTED = dict(
    re.findall(r"^\| ([a-z0-9-]+) \| ([A-Za-z0-9. -]+) \|$", TEXT.partition("## Dependencies")[2], re.MULTILINE)
)
DEPLOYED = re.findall(r"^([a-z0-9-]+)==", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
WITHOUT_STRINGS = {"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MIT-0", "MPL-2.0", "PSF-2.0"}
IN_WORDS = {"Apache 2.0": "Apache-2.0", "BSD License": "BSD-3-Clause", "MIT License": "MIT"}


def licence(package: str) -> str:
    """The licence of an installed package: its SPDX expression or, in older packages, a word or a classifier."""
    found = metadata(package)
    classifiers = [entry.rpartition(" :: ")[2] for entry in found.get_all("Classifier", []) if "OSI Approved" in entry]
    words = found.get("License", "")
    named = found.get("License-Expression") or (words if words and "\n" not in words else classifiers[0])
    return IN_WORDS.get(named, named)


def test_what_is_deployed_is_listed_with_its_licence() -> None:
    assert {package: licence(package) for package in DEPLOYED} == {
        name: LISTED[name] for name in LISTED if name != "package"
    }


def test_no_licence_asks_for_our_source_code() -> None:
    named = {one for text in LISTED.values() for one in re.split(r" (?:AND|OR) ", text)} - {"licence"}
    assert named <= WITHOUT_STRINGS


def test_what_holds_a_promise_exists() -> None:
    rows = [line.split("|")[4] for line in TEXT.splitlines() if line.count("|") == 5]
    named = [path for row in rows for path in re.findall(r"`([\w./-]+)`", row)]
    assert len(named) > 10
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_the_settings_it_names_exist() -> None:
    settings = {field.alias for field in Settings.model_fields.values()}
    named = set(re.findall(r"`((?:AVEPOINT|OPUS|ELEMENTS|INVENTORY|HARVEST|AUTH)_[A-Z_]+)", TEXT))
    assert named
    assert named <= settings
