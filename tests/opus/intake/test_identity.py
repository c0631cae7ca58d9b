from hypothesis import given
from hypothesis import strategies as st

from shared.opus.intake.identity import fingerprint, operation_id


@given(caller=st.text(), kind=st.text(), key=st.text())
def test_the_same_call_has_the_same_id_and_the_id_is_a_name(caller: str, kind: str, key: str) -> None:
    first = operation_id(caller, kind, key)

    assert first == operation_id(caller, kind, key)
    assert len(first) == 32
    assert set(first) <= set("0123456789abcdef")


@given(st.lists(st.tuples(st.text(), st.text(), st.text()), min_size=2, max_size=2, unique=True))
def test_another_caller_kind_or_key_has_another_id(calls: list[tuple[str, str, str]]) -> None:
    assert operation_id(*calls[0]) != operation_id(*calls[1])


@given(st.dictionaries(st.text(), st.integers() | st.text() | st.none()))
def test_the_order_of_names_makes_no_difference(body: dict[str, object]) -> None:
    assert fingerprint(body) == fingerprint(dict(reversed(body.items())))
