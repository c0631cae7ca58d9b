"""Reading a page of a list: an answer in, its items and what it says of the list out. Pure.

Items are never parsed: they are the bytes the server sent. What is not documented as an honest answer is unclean: an
answer that says that it failed, a list that is missing or ``null``, an object without any documented field.
"""

import json
from codecs import BOM_UTF8
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import msgspec

from shared.avepoint.catalog import Dataset
from shared.avepoint.failure import AnswerKeys, find_key, message_of, refuse_failure
from shared.avepoint.fields import fields_of
from shared.avepoint.links import unwrapped
from shared.avepoint.splitting import UnbalancedJson, fault_of, one_line, split_page
from shared.errors import BadResponse, UnreadableResponse
from shared.telemetry.redaction import excerpt

VALUES_CEILING = 4_000_000
"""The most commas in one page: the largest documented page has some 100,000, and each value costs memory."""

_OBJECT = ord("{")
_NO_LINKS = frozenset({"", "n/a", "null", "false"})
_HARMLESS = ("message", "requestId", "timestamp", "traceId", "pageIndex", "pageSize", "@odata.context")
"""What documented answers have beside their lists, and what never tells of a failure."""


@dataclass(frozen=True, slots=True)
class OddItem:
    """An item that cannot be read as documented.

    Attributes:
        position: Its place on the page.
        line: Its place among ``Page.items``; ``None`` where it cannot be stored as one line.
    """

    position: int
    reason: str
    line: int | None


@dataclass(frozen=True, slots=True)
class Page:
    """One page: its items as the server sent them, the total it claims, and its link to the next page."""

    items: Sequence[msgspec.Raw]
    total: int | None
    link: str | None
    pretty: bool
    """The answer has line breaks, so its items may have some too."""
    parent: bytes = b""
    """The parent values as a JSON object, where the list belongs to one parent."""
    odd: tuple[OddItem, ...] = ()
    size: int | None = None
    """How many items a full page has, where pages are numbered and the answer says so."""

    @property
    def served(self) -> int:
        """How many items the server sent, those that cannot be stored among them."""
        return len(self.items) + sum(one.line is None for one in self.odd)

    def field_names(self) -> list[str]:
        """Return the names of the fields of the first line; none where items are no objects and have no parent."""
        if not self.items:
            return []
        parent = ["_parent"] if self.parent else []
        try:
            return [*parent, *_decode_object(self.items[0])]
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return [*parent, "value"] if parent else []


_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_any = msgspec.json.Decoder().decode


def read_page(dataset: Dataset, body: bytes, *, parent: bytes = b"") -> Page:
    """Take an answer apart without parsing its items.

    Args:
        parent: The parent values it was asked with, as a JSON object.

    Raises:
        UnreadableResponse: It is cut, or not JSON.
        BadResponse: It has no envelope, or says itself that it failed.
        UpstreamFailed: It says that the service failed in a way that may pass.
    """
    body = body.removeprefix(BOM_UTF8)
    if len(body) > VALUES_CEILING and body.count(b",") > VALUES_CEILING:  # to count takes as long as to decode
        raise BadResponse(f"{dataset.name}: a page has more than {VALUES_CEILING} values")
    try:
        if not body.isascii():
            body.decode()  # the decoder below does not look into the items
        return _strictly_read(dataset, body, parent)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        page = _leniently_read(dataset, body, parent)
        if page is None:
            raise UnreadableResponse(f"{dataset.name}: a page is not valid JSON: {error}") from error
        return page


def _strictly_read(dataset: Dataset, body: bytes, parent: bytes) -> Page:
    keys, items = _as_documented(dataset, body) or _as_it_came(dataset, body)
    pretty = b"\n" in body or b"\r" in body
    odd = tuple(_without_object(items)) if dataset.key else ()
    total, link, size = _total(dataset, keys), _link(dataset, keys), _page_size(dataset, keys)
    return Page(items, total, link, pretty=pretty, parent=parent, odd=odd, size=size)


def _without_object(items: Sequence[msgspec.Raw]) -> Iterator[OddItem]:
    """Yield the items that are not objects, and so have no key."""
    for position, item in enumerate(items):
        if memoryview(item)[0] != _OBJECT:
            yield OddItem(position, "it is not an object", position)


def _leniently_read(dataset: Dataset, body: bytes, parent: bytes) -> Page | None:
    """Read a page some of whose items are not valid JSON; ``None`` where the page itself is not."""
    try:
        split = split_page(body, dataset.envelope)
        frame = _strictly_read(dataset, split.frame, parent) if split else None
    except (UnbalancedJson, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if split is None or frame is None:
        return None
    items: list[msgspec.Raw] = []
    odd: list[OddItem] = []
    for position, item in enumerate(split.items):
        line = one_line(item)
        fault = fault_of(item)
        if fault is None and dataset.key and not item.startswith(b"{"):
            fault = "it is not an object"
        if fault is not None:
            odd.append(OddItem(position, fault, None if line is None else len(items)))
        if line is not None:
            items.append(msgspec.Raw(line))
    return Page(items, frame.total, frame.link, pretty=False, parent=parent, odd=tuple(odd), size=frame.size)


def _as_documented(dataset: Dataset, body: bytes) -> tuple[AnswerKeys, list[msgspec.Raw]] | None:
    """Read everything in one pass; ``None`` unless the keys are those of the documents, spelt as there.

    Any other key may tell of a failure, however it is spelt, and is looked at by the reader that knows no spelling.
    """
    if dataset.single or "." in dataset.envelope or dataset.envelope == "$root":
        return None
    failure = (dataset.failure.status, dataset.failure.error, dataset.failure.message) if dataset.failure else ()
    needed = tuple({path.split(".")[0]: None for path in (dataset.total, dataset.link, *failure) if path})
    try:
        items, *values = msgspec.structs.astuple(_answer_decoder(dataset.envelope, needed)(body))
    except msgspec.ValidationError:
        return None
    if not items:
        return None  # an empty list is believed only when every key of the answer has been looked at
    keys = dict(zip(needed, values[: len(needed)], strict=True))
    refuse_failure(dataset, keys)
    return keys, items


@cache
def _answer_decoder(envelope: str, needed: tuple[str, ...]) -> Callable[[bytes], msgspec.Struct]:
    """Return a reader of answers with all needed keys, and no other but harmless ones: items first, then the needed."""
    wanted = [(f"needed_{n}", msgspec.Raw, msgspec.field(name=name)) for n, name in enumerate(needed)]
    harmless = [
        (f"harmless_{n}", msgspec.Raw | None, msgspec.field(name=name, default=None))
        for n, name in enumerate(_HARMLESS)
        if name not in {envelope, *needed}
    ]
    items = ("items", list[msgspec.Raw], msgspec.field(name=envelope))
    answer = msgspec.defstruct("Answer", [items, *wanted, *harmless], forbid_unknown_fields=True)
    return msgspec.json.Decoder(answer).decode


def _as_it_came(dataset: Dataset, body: bytes) -> tuple[AnswerKeys, list[msgspec.Raw]]:
    keys: AnswerKeys = {}
    if dataset.envelope != "$root" or dataset.single:
        keys = _object(dataset, body)
        refuse_failure(dataset, keys)
        _refuse_inner_failure(dataset, keys)
    found = msgspec.Raw(body) if dataset.envelope == "$root" else _dig(dataset, keys, dataset.envelope)
    return keys, [_only_item(dataset, keys, found)] if dataset.single else _items(dataset, keys, found)


def _refuse_inner_failure(dataset: Dataset, keys: AnswerKeys) -> None:
    """Raise what the object around the list says of itself, where that is not the whole answer."""
    around, _, _ = dataset.envelope.rpartition(".")
    found = _dig(dataset, keys, around) if around else None
    if found is not None and bytes(found) != b"null":
        refuse_failure(dataset, _object(dataset, found))


def _object(dataset: Dataset, body: bytes | msgspec.Raw) -> AnswerKeys:
    try:
        return _decode_object(body)
    except msgspec.ValidationError as error:
        raise BadResponse(f"{dataset.name}: must be an object: {error}") from error


def _items(dataset: Dataset, keys: AnswerKeys, found: msgspec.Raw | None) -> list[msgspec.Raw]:
    """Return the items; ``null`` stands for none only where a total says so."""
    if found is not None and bytes(found) == b"null" and _total(dataset, keys) == 0:
        return []
    if found is None or bytes(found) == b"null":
        raise _missing(dataset, keys, found)
    try:
        return _decode_list(found)
    except msgspec.ValidationError as error:
        if dataset.envelope == "$root" and memoryview(found)[0] == _OBJECT:
            refuse_failure(dataset, _object(dataset, found))
        raise BadResponse(f"{dataset.name}: {dataset.envelope!r} is not a list: {error}") from error


def _only_item(dataset: Dataset, keys: AnswerKeys, found: msgspec.Raw | None) -> msgspec.Raw:
    """Return the object that is the only item, if it has any of the documented fields."""
    if found is None or bytes(found) == b"null":
        raise _missing(dataset, keys, found)
    fields = fields_of(dataset)
    names = _object(dataset, found)
    if fields.all and not any(fields.find(name) for name in names):
        raise BadResponse(
            f"{dataset.name}: the answer has none of the documented fields, only {_named(names)}",
            remedy="AvePoint may have changed its API: compare the answer with its documentation.",
        )
    return found


def _missing(dataset: Dataset, keys: AnswerKeys, found: msgspec.Raw | None) -> BadResponse:
    fault = f"no {dataset.envelope!r}, only {_named(keys)}" if found is None else f"null as {dataset.envelope!r}"
    told = f": {message}" if (message := message_of(dataset, keys)) else ""
    return BadResponse(
        f"{dataset.name}: a page has {fault}{told}",
        remedy="AvePoint may have changed its API: compare the answer with its documentation.",
    )


def _named(keys: AnswerKeys) -> str:
    return excerpt(", ".join(list(keys)[:20]).encode()) or "nothing"


def _total(dataset: Dataset, keys: AnswerKeys) -> int | None:
    """Return the total; ``None`` when it is none."""
    return _whole_number(_dig(dataset, keys, dataset.total)) if dataset.total else None


def _page_size(dataset: Dataset, keys: AnswerKeys) -> int | None:
    """Return the size of a page, which stands beside the total."""
    if dataset.total is None or dataset.page is None or not dataset.page.drives:
        return None
    around, dot, _ = dataset.total.rpartition(".")
    return _whole_number(_dig(dataset, keys, f"{around}{dot}pageSize"))


def _whole_number(found: msgspec.Raw | None) -> int | None:
    """Return a number, which some services write as a string."""
    value = None if found is None else _decode_any(found)
    if isinstance(value, str) and value.strip().isdecimal() and len(value) < 19:  # noqa: PLR2004 - fits 64 bits
        return int(value)
    if not isinstance(value, int | float) or isinstance(value, bool) or value < 0 or value != int(value):
        return None
    return int(value)


def _link(dataset: Dataset, keys: AnswerKeys) -> str | None:
    found = _dig(dataset, keys, dataset.link) if dataset.link else None
    value = None if found is None else _decode_any(found)
    text = value.strip() if isinstance(value, str) else json.dumps(value)
    return None if unwrapped(text).strip().casefold() in _NO_LINKS else text


def _dig(dataset: Dataset, keys: AnswerKeys, path: str) -> msgspec.Raw | None:
    *parents, last = path.split(".")
    for parent in parents:
        found = find_key(keys, parent)
        if found is None or bytes(found) == b"null":
            return None
        keys = _object(dataset, found)
    return find_key(keys, last)
