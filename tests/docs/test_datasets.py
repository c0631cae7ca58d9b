"""docs/datasets.md and docs/fields.md are what the catalogue says."""

import re

from shared.avepoint.catalog import catalog
from shared.avepoint.fields import fields_of
from tools import field_dictionary, handbook


def test_the_page_of_datasets_is_up_to_date() -> None:
    assert handbook.PAGE.read_text() == handbook.handbook(catalog().values()), "run make docs"


def test_every_dataset_is_on_it() -> None:
    assert all(f"| `{name}` |" in handbook.PAGE.read_text() for _, name in catalog())


def test_the_page_of_fields_is_up_to_date() -> None:
    assert field_dictionary.PAGE.read_text() == field_dictionary.dictionary(catalog().values()), "run make docs"


def test_every_dataset_leads_to_its_fields() -> None:
    anchors = {
        line[3:].replace("/", "") for line in field_dictionary.PAGE.read_text().splitlines() if line[:3] == "## "
    }

    assert anchors == set(re.findall(r"fields\.md#([\w-]+)\)", handbook.PAGE.read_text()))
    assert len(anchors) == len(catalog())


def test_every_field_is_on_it() -> None:
    page = field_dictionary.PAGE.read_text()

    assert all(
        f"| `{field.name}` | {field.type} |" in page
        for one in catalog().values()
        for field in fields_of(one)
        if not one.successor
    )
