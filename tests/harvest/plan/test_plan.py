from pathlib import Path

import pytest

from shared.avepoint.catalog import BrokenCatalog, Dataset, PageSize, catalog, load_catalog
from shared.errors import InvalidInput
from shared.harvest.plan.choosing import requested
from shared.harvest.plan.plan import UnknownDatasets, choose, least_requests, partitions, plan
from shared.settings import load_settings

APPS = 'source = "graph"\nservice = "s"\n[datasets.apps]\npath = "/a"\nscope = "s"\nenvelope = "e"'


def names(*patterns: str) -> list[str]:
    return [dataset.name for dataset in choose(catalog(), "enpower", patterns)]


def test_names_and_globs_are_taken_in_the_order_of_the_catalogue() -> None:
    assert names("powerbi-*", "connections") == ["connections", "powerbi-workspaces", "powerbi-artifacts"]


def test_exclusions_are_taken_out() -> None:
    assert names("*", "!powerbi-*") == ["powerapps", "powerautomate", "connections", "environments"]


def test_exclusions_alone_leave_all_others() -> None:
    assert names("!powerapps") == names("*")[1:]


def test_nothing_is_nothing() -> None:
    assert names() == []


@pytest.mark.parametrize("pattern", ["powerap", "pwerapps", "!pwerapps"])
def test_what_matches_nothing_is_named_with_the_closest(pattern: str) -> None:
    with pytest.raises(UnknownDatasets, match=r"matches no dataset of enpower; the closest are .*powerapps"):
        names(pattern)


def test_a_request_for_an_unknown_dataset_names_the_field(environ: dict[str, str]) -> None:
    with pytest.raises(InvalidInput) as caught:
        requested(load_settings(environ), "graph", ["enpower-powerap"])
    assert caught.value.target == "datasets"
    assert "enpower-powerapps" in str(caught.value)


def test_a_request_for_nothing_is_refused(environ: dict[str, str]) -> None:
    with pytest.raises(InvalidInput, match="no dataset of graph is chosen"):
        requested(load_settings(environ), "graph", [])


def dataset(**changes: object) -> Dataset:
    values = {"source": "graph", "service": "s", "name": "apps", "path": "/apps", "scope": "s", "envelope": "apps"}
    return Dataset.model_validate(values | changes)


def test_one_partition_a_tenant_where_the_dataset_takes_the_filter() -> None:
    tenants = ("t1", "t2")
    assert [one.name for one in partitions(dataset(tenant="tenant"), tenants)] == ["t1", "t2"]
    assert [one.tenant for one in partitions(dataset(), tenants)] == [None]
    assert [one.tenant for one in partitions(dataset(tenant="tenant"), ())] == [None]


def test_a_dataset_that_an_unfinished_run_holds_is_skipped_and_says_so() -> None:
    planned = plan([dataset(), dataset(name="flows")], tenants=(), held={"apps": "the-run"}, timings={}, parents={})
    assert planned[0].partitions == ()
    assert "the-run" in (planned[0].skipped or "")
    assert planned[1].skipped is None


@pytest.mark.parametrize(
    ("items", "page_size", "chains", "requests"),
    [(None, None, 1, 1), (0, None, 2, 2), (100, None, 1, 1), (101, None, 1, 2), (101, 10, 1, 11), (5, 1000, 1, 1)],
)
def test_least_requests(items: int | None, page_size: int | None, chains: int, requests: int) -> None:
    sized = dataset(size=PageSize(parameter="top", most=100))
    assert least_requests(sized, items=items, page_size=page_size, chains=chains) == requests


class TestCatalog:
    def test_every_file_is_well_formed(self) -> None:
        assert {source for source, _ in catalog()} == {"enpower", "graph", "elements"}

    @pytest.mark.parametrize(
        ("text", "complaint"),
        [
            ("source = 1", r"broken.toml: .*source"),
            ("not toml", r"broken.toml: "),
            (
                'source = "graph"\nservice = "s"\n[datasets.apps]\npath = "/a"',
                r"broken.toml: apps: scope: Field required",
            ),
            (
                f"{APPS}\ncolour = 1",
                r"broken.toml: apps: colour: Extra inputs",
            ),
            (
                f'{APPS}\nparent = {{ dataset = "owners", parameters = {{ id = "id" }} }}',
                r"graph/apps: parent: there is no owners",
            ),
            (
                APPS.replace('"/a"', '"/{id}/a"'),
                r"broken.toml: apps: .*path: nothing says what goes into id",
            ),
            (
                f"{APPS}\nchoices = {{ kind = [1, 2] }}",
                r"broken.toml: apps: .*choices: only child datasets take them",
            ),
        ],
    )
    def test_a_fault_is_named_with_file_dataset_and_key(self, tmp_path: Path, text: str, complaint: str) -> None:
        (tmp_path / "broken.toml").write_text(text)
        with pytest.raises(BrokenCatalog, match=f"(?s){complaint}"):
            load_catalog(tmp_path)

    def test_a_dataset_that_is_there_twice_is_named(self, tmp_path: Path) -> None:
        for name in ("a.toml", "b.toml"):
            (tmp_path / name).write_text(APPS)
        with pytest.raises(BrokenCatalog, match=r"b.toml: graph/apps is there twice"):
            load_catalog(tmp_path)
