"""The page about personal data says what storage, templates and settings have: each place with its end."""

import re
from collections.abc import Iterator

import pytest

from sandbox.processes import ROOT
from shared.azure.storage import Container
from shared.harvest.plan import paths
from shared.settings import Settings
from shared.tables.build import names
from shared.tables.forgetting.retention import Retention
from tests.infra.paths import INFRA
from tests.infra.retention import PARAMETERS

PAGE = (ROOT / "docs" / "personal-data.md").read_text()
TEMPLATE = (INFRA / "main.bicep").read_text()
DEFAULTS = {
    kind: int(days)
    for kind, name in PARAMETERS.items()
    for days in re.findall(rf"^param {name} int = (\d+)$", TEMPLATE, re.MULTILINE)
}


def kept_rows() -> Iterator[list[str]]:
    """What, where, whom and how long."""
    section = PAGE.partition("## What is kept\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")][1:]
    for line in lines:
        yield [cell.strip() for cell in line.strip("|").split("|")]


def kept_places() -> list[str]:
    """The places in storage that the table names."""
    return [place for row in kept_rows() for place in re.findall(r"`([^`]+)`", row[1])]


def test_every_container_and_folder_of_the_app_has_a_row() -> None:
    places = kept_places()
    assert {place.split("/")[0] for place in places} == set(Container)
    written = {
        f"{Container.INVENTORY}/{paths.MANIFESTS}",
        f"{Container.INVENTORY}/{paths.LATEST}",
        f"{Container.HARVEST_STATE}/{paths.RUNS}",
        f"{Container.HARVEST_STATE}/{paths.OPEN_RUNS}",
        f"{Container.HARVEST_STATE}/{paths.WATERMARKS}",
        f"{Container.HARVEST_STATE}/{names.STATES}",
        *(f"{Container.TABLES}/{name}/" for name in (names.SNAPSHOTS, names.HISTORY, names.DRIFT)),
    }
    assert written <= set(places)


def test_days_are_those_of_the_template_and_of_the_settings() -> None:
    told = re.findall(r"(\d+) days \(`([A-Za-z_]+)`\)", " ".join(row[3] for row in kept_rows()))
    settings = {field.alias: field.default for field in Settings.model_fields.values()}
    assert {kind for _, kind in told} == {*PARAMETERS, "TABLES_CHANGES_DAYS", "TABLES_KEEP_DAYS"}
    for days, kind in told:
        assert int(days) == (DEFAULTS[kind] if kind in DEFAULTS else settings[kind]), kind


def test_the_command_that_forgets_knows_the_same_days() -> None:
    assert Retention().model_dump() == DEFAULTS
    assert Retention.parse(",".join(f"{kind}={days + 1}" for kind, days in DEFAULTS.items())).model_dump() == {
        kind: days + 1 for kind, days in DEFAULTS.items()
    }


def test_what_a_lifecycle_rule_deletes_has_its_days_in_the_table() -> None:
    rules = (INFRA / "modules" / "lifecycle.bicep").read_text()
    rule = r"\['([a-z-]+/[a-z]+/)'\],\s*(?:union\()?\s*\{\s*baseBlob:.*?deleted\((\w+)\)"
    deleted = re.findall(rule, rules, re.DOTALL)
    assert len(deleted) == 3
    for place, parameter in deleted:
        (row,) = (row for row in kept_rows() if f"`{place}`" in row[1])
        kind = next(kind for kind, name in PARAMETERS.items() if name == parameter)
        assert f"days (`{kind}`)" in row[3], place


@pytest.mark.parametrize("row", [*kept_rows()], ids=lambda row: row[0][:20])
def test_every_row_says_whom_it_names_and_how_long(row: list[str]) -> None:
    assert len(row) == 4
    assert all(row)
    if not row[2].startswith("nobody"):
        assert re.search(r"\d+ days|until|as long as", row[3])


def test_what_the_law_asks_has_its_command() -> None:
    rows = PAGE.partition("## What the law may require\n")[2].partition("\n## ")[0]
    for asked in ("access", "erasure", "minimisation"):
        (row,) = (line for line in rows.splitlines() if line.startswith(f"| {asked}"))
        assert "`" in row
    assert set(re.findall(r"`([A-Z]+_[A-Z_]+)[`=]", PAGE)) <= {
        *(field.alias for field in Settings.model_fields.values()),
        "RETENTION_DAYS",
    }
