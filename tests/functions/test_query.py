"""The query of a request is read as it was sent, and what is not understood is refused by name (promise 11)."""

import azure.functions as func
import pytest

from functions.http.query import Query
from shared.errors import InvalidInput

KNOWN = ("filter", "top", "change")


def query(text: str) -> Query:
    return Query.of(func.HttpRequest("GET", f"http://localhost/api/x?{text}", body=b""), KNOWN)


def refusal(text: str) -> InvalidInput:
    with pytest.raises(InvalidInput) as refused:
        query(text)
    return refused.value


def test_values_are_those_of_the_url() -> None:
    found = query("filter=a%20eq%20'%C3%A4'+&top=5&code=key&clientId=default&change=")
    assert found.text("filter") == "a eq 'ä' "
    assert found.bytes("filter") == len("a%20eq%20'%C3%A4'+")
    assert found.text("change") is None
    assert found.text("nothing") is None


@pytest.mark.parametrize(
    ("text", "target", "message"),
    [
        ("filters=x", "filters", "there is no query parameter 'filters'; the closest name is 'filter'"),
        ("Filter=", "Filter", "there is no query parameter 'Filter'; the closest name is 'filter'"),
        ("CODE=x", "CODE", "there is no query parameter 'CODE'"),
        ("$filter=x", "$filter", "there is no query parameter '$filter'; the closest name is 'filter'"),
        ("zzz", "zzz", "there is no query parameter 'zzz'"),
        ("top=1&top=2", "top", "top appears twice in the query"),
        ("%FF=1", "%FF", "%FF is not UTF-8"),
    ],
)
def test_a_name_that_is_not_known_is_refused(text: str, target: str, message: str) -> None:
    refused = refusal(text)
    assert (refused.target, str(refused)) == (target, message)


def test_a_value_that_is_not_utf8_is_refused() -> None:
    with pytest.raises(InvalidInput, match="filter is not UTF-8"):
        query("filter=%FF").text("filter")


@pytest.mark.parametrize("text", ["0", "1001", "-1", "1.5", "x", "%D9%A5", "9" * 2_000, "1e3", "+5"])
def test_a_number_lies_within_its_bounds(text: str) -> None:
    with pytest.raises(InvalidInput, match="top is a whole number from 1 to 1000") as refused:
        query(f"top={text}").number("top", default=100, least=1, most=1000)
    assert refused.value.target == "top"


def test_a_number_has_a_default() -> None:
    assert query("top=007").number("top", default=100, least=1, most=1000) == 7
    assert query("").number("top", default=100, least=1, most=1000) == 100


def test_a_choice_is_one_of_its_words() -> None:
    assert query("change=added").choice("change", ("added", "removed")) == "added"
    assert query("").choice("change", ("added", "removed")) is None
    with pytest.raises(InvalidInput, match="change is one of added, removed, not 'Added'"):
        query("change=Added").choice("change", ("added", "removed"))


def test_a_query_over_3000_bytes_is_refused_by_its_longest_parameter() -> None:
    query("top=1&filter=" + "x" * 2_987).check_size()
    with pytest.raises(InvalidInput, match=r"the query has 3,001 bytes, of which filter takes 2,988") as refused:
        query("top=1&filter=" + "x" * 2_988).check_size()
    assert refused.value.target == "filter"
