"""Whatever lies in storage under the name of a document: it is read, or it is a fault with a name."""

import json
import pkgutil
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import shared
from shared.document import Document, StoredDocument
from shared.errors import NewerDocument, StoredFault
from shared.opus.ledger.documents import OperationState

NOT_IMPORTED = ("shared.telemetry.exporter", "__main__")
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["2026-11-29T00:00:00", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "graph"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def _kinds(kind: type[Document]) -> Iterator[type[Document]]:
    for found in kind.__subclasses__():
        yield found
        yield from _kinds(found)


def documents() -> list[type[Document]]:
    """Every kind of document of the app."""
    for module in pkgutil.walk_packages(shared.__path__, "shared."):
        if not module.name.endswith(NOT_IMPORTED):
            import_module(module.name)
    found = {kind for kind in _kinds(Document) if kind.__module__.startswith("shared.")}
    return sorted(found, key=lambda kind: (kind.__module__, kind.__name__))


DOCUMENTS = documents()
STORED = [kind for kind in DOCUMENTS if issubclass(kind, StoredDocument) and kind is not StoredDocument]


def test_there_are_many() -> None:
    assert len(DOCUMENTS) > 50
    assert len(STORED) > 5


@settings(max_examples=400, deadline=None)
@given(kind=st.sampled_from(DOCUMENTS), data=st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_anything_else_is_a_fault_with_a_name(kind: type[Document], data: bytes) -> None:
    with suppress(StoredFault):
        kind.from_json(data)


@settings(max_examples=400, deadline=None)
@given(data=st.data(), kind=st.sampled_from(DOCUMENTS))
def test_so_is_a_document_with_odd_values(kind: type[Document], data: st.DataObject) -> None:
    names = [field.alias or name for name, field in kind.model_fields.items()]
    fields: dict[str, Any] = data.draw(st.fixed_dictionaries({}, optional=dict.fromkeys(names, JSON)))
    with suppress(StoredFault):
        kind.from_json(json.dumps(fields).encode())


@pytest.mark.parametrize("kind", STORED, ids=lambda kind: kind.__name__)
def test_one_of_a_newer_version_is_left_to_it(kind: type[StoredDocument]) -> None:
    with pytest.raises(NewerDocument):
        kind.from_json(json.dumps({"schema": kind.NEWEST + 1, "whatever": [1]}).encode())


def test_an_operation_that_nobody_holds_says_so() -> None:
    """The first release, which may still be at work, reads no state without its lease."""
    assert json.loads(OperationState(hold=None, batches=()).to_json()) == {"claim": None, "batches": []}
