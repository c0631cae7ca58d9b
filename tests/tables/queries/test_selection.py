"""``select`` and ``orderby`` name columns exactly, or are refused by name (promise 11)."""

import pytest

from shared.errors import InvalidInput
from shared.tables.queries.selection import RowOrder, parse_orderby, parse_select

COLUMNS = ("_key", "_parent_appId", "appName", "owner", "asc")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("appName", ("appName",)),
        ("owner,_parent_appId, appName ", ("owner", "_parent_appId", "appName")),
        ("owner,_key,owner", ("owner", "_key")),
    ],
)
def test_select_is_a_comma_list_of_columns(text: str, names: tuple[str, ...]) -> None:
    assert parse_select(text, COLUMNS) == names


@pytest.mark.parametrize("text", ["appname", "owner,", ",owner", "_parent", "owner;appName", "*"])
def test_select_refuses_what_is_not_a_column(text: str) -> None:
    with pytest.raises(InvalidInput, match="select: there is no column") as refused:
        parse_select(text, COLUMNS)
    assert refused.value.target == "select"


def test_a_refusal_names_the_closest_column() -> None:
    with pytest.raises(InvalidInput, match="the closest name is '_parent_appId'"):
        parse_select("_parent_appid", COLUMNS)


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("owner", RowOrder("owner")),
        ("owner asc", RowOrder("owner")),
        (" _parent_appId \t desc ", RowOrder("_parent_appId", descending=True)),
        ("asc", RowOrder("asc")),
    ],
)
def test_orderby_is_one_column(text: str, order: RowOrder) -> None:
    assert parse_orderby(text, COLUMNS) == order


@pytest.mark.parametrize("text", ["owner DESC", "owner, appName", "owner desc asc", " ", "nobody", "owner\ndesc"])
def test_orderby_refuses_everything_else(text: str) -> None:
    with pytest.raises(InvalidInput, match="orderby") as refused:
        parse_orderby(text, COLUMNS)
    assert refused.value.target == "orderby"
