"""docs/datasets.md is what the catalogue says."""

from sandbox.handbook import PAGE, handbook
from shared.avepoint.catalog import catalog


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == handbook(catalog().values()), "run make docs"


def test_every_dataset_is_on_it() -> None:
    assert all(f"| `{name}` |" in PAGE.read_text() for _, name in catalog())
