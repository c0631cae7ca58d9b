"""docs/configuration.md and the settings are the same set, with the same defaults."""

import re
from pathlib import Path

import pytest

from shared.avepoint.platform import DATA_CENTERS
from shared.settings import DEFAULT_SECRET_NAME, Settings

TEXT = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()
ROWS = [line.split("|")[1:-1] for line in TEXT.splitlines() if line.startswith("| `")]
DOCUMENTED = {name: row[2].strip() for row in ROWS for name in re.findall(r"`([A-Za-z_]+)`", row[0])}
FIELDS = {field.alias or name: field for name, field in Settings.model_fields.items()}
IN_WORDS = {
    "AVEPOINT_CLIENT_SECRET_NAME": f"`{DEFAULT_SECRET_NAME}`",
    "HARVEST_ELEMENTS_DATASETS": "nothing",
    "HARVEST_TENANTS": "nothing: one chain",
    "TABLES_HIDE_FIELDS": "nothing: all fields are shown",
    "INVENTORY_STORAGE": "*required*, or the next four",
}


def test_the_same_settings() -> None:
    assert DOCUMENTED.keys() == FIELDS.keys()


@pytest.mark.parametrize("name", FIELDS)
def test_the_same_default(name: str) -> None:
    documented, field = DOCUMENTED[name], FIELDS[name]
    if name in IN_WORDS:
        assert documented == IN_WORDS[name]
    elif field.is_required():
        assert documented == "*required*"
    elif field.default is None:
        assert not documented.startswith("`")
    else:
        default = ",".join(field.default) if isinstance(field.default, tuple) else str(field.default)
        assert documented.strip("`") == (default.lower() if isinstance(field.default, bool) else default)


def test_the_same_data_centres() -> None:
    listed = re.search(r"^Data centres: (.*?)\. Those", TEXT, re.MULTILINE | re.DOTALL)
    assert listed is not None
    assert re.findall(r"`([a-z0-9-]+)`", listed[1]) == list(DATA_CENTERS)
