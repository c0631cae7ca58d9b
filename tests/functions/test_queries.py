"""Promise 11: what a query says and is not understood is refused, under the name it was sent with."""

import azure.functions as func
import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.http.auth import ROLES
from functions.http.queries import DATE, QUERIES, RUNS_TOP, WAIT, WITH_CHANGES, check_query
from functions.http.query import MAX_QUERY_BYTES
from functions.http.requests import day, flag, whole_number
from shared.errors import InvalidInput


def request(query: str) -> func.HttpRequest:
    return func.HttpRequest("GET", f"https://app.example/api/x?{query}", body=b"")


def refused(query: str, function: str = "start_harvest") -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        check_query(request(query), function)
    return caught.value


def test_every_function_has_its_names() -> None:
    assert QUERIES.keys() == ROLES.keys()


@pytest.mark.parametrize(
    ("query", "function", "target", "closest"),
    [
        ("dryrun=true", "start_harvest", "dryrun", "dryRun"),
        ("dry_run=true", "start_harvest", "dry_run", "dryRun"),
        ("Atomic=true", "submit_records", "Atomic", "atomic"),
        ("dryRun=true&dryRuns", "start_harvest", "dryRuns", "dryRun"),
        ("top=1&Top=2", "list_runs", "Top", "top"),
        ("befor=2026-01-01T00:00:00Z", "list_due_records", "befor", "before"),
        ("force=true", "resume_run", "force", "no query parameter"),
        ("Code=1", "get_latest", "Code", "no query parameter"),
        ("=1", "list_runs", "", "no query parameter"),
    ],
)
def test_an_unknown_name_is_refused_with_the_closest(query: str, function: str, target: str, closest: str) -> None:
    error = refused(query, function)
    assert error.target == target
    assert closest in str(error)


@pytest.mark.parametrize("name", ["dryRun", "wait", "atomic"])
def test_an_empty_value_that_would_change_what_is_done_is_refused(name: str) -> None:
    assert refused(f"{name}=", "destroy_records").target == name
    assert refused(name, "destroy_records").target == name


def test_the_empty_value_of_a_filter_counts_as_absent() -> None:
    check_query(request("source=&top="), "list_runs")
    assert whole_number(request("top="), RUNS_TOP) == 20


def test_a_name_that_stands_twice_is_refused() -> None:
    assert refused("dryRun=true&dryRun=false").target == "dryRun"


def test_what_the_host_reads_passes_everywhere() -> None:
    for function in QUERIES:
        check_query(request("code=abc&clientId=default"), function)


@pytest.mark.parametrize("query", ["x=1", "cachebuster", "a=1&a=2", "%zz=%"])
def test_a_probe_may_say_what_it_likes(query: str) -> None:
    check_query(request(query), "health")


def test_a_long_query_is_refused_unless_a_link_of_the_app_says_it() -> None:
    long = "x" * MAX_QUERY_BYTES
    assert refused(f"top=1&source={long}", "list_runs").target == "source"
    check_query(request(f"top=1&after={long}"), "list_runs")


@pytest.mark.parametrize("value", ["0", "201", "1.0", "+1", "1e2", "\u0661", "9" * 5000, "-1", "1 "])
def test_a_number_is_a_whole_one_within_its_limits(value: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        whole_number(request(f"top={value}"), RUNS_TOP)
    assert caught.value.target == "top"


@pytest.mark.parametrize("value", ["20261129", "2026-W48-7", "2026-13-99", "0001-01-01", "9999-01-01", "2026-1-1"])
def test_a_day_has_one_form(value: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        day(request(f"date={value}"), DATE)
    assert caught.value.target == "date"


def test_a_flag_is_true_or_false() -> None:
    assert (flag(request("wait=TRUE"), WAIT), flag(request("wait=false"), WAIT), flag(request(""), WAIT)) == (
        True,
        False,
        True,
    )
    with pytest.raises(InvalidInput):
        flag(request("wait=1"), WAIT)


@given(st.text(), st.sampled_from(sorted(QUERIES)))
def test_whatever_is_sent_is_taken_or_refused(query: str, function: str) -> None:
    try:
        check_query(request(query), function)
    except InvalidInput as error:
        assert isinstance(error.target, str)  # noqa: PT017 - either of the two is right


@pytest.mark.parametrize("query", ["changes=", "changes"])
def test_an_empty_value_that_decides_nothing_counts_as_absent(query: str) -> None:
    check_query(request(query), "rebuild_table")
    assert flag(request(query), WITH_CHANGES) is False
