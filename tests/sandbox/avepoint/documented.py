"""What the documents say of every call, in `documented.json`; the simulator has a description of its own.

`envelope` are the keys of an answer in order; `list`, `total` and `next` dotted paths in it (`$root` a bare array, no
list an object that is the item). `fields` of an item have the JSON type of the documented sample, or null where only a
table names them or the sample shows no value. `parents` are the parameters that take a value of another list, with
that list and its field, or the values they can take.
"""

from pathlib import Path

import msgspec


class Paging(msgspec.Struct, frozen=True):
    style: str
    page_param: str = ""
    first_page: int = 0
    page_size_param: str = ""
    default_page_size: int = 0
    max_page_size: int = 0
    token_param: str = ""


class Documented(msgspec.Struct, frozen=True):
    method: str
    path: str
    paging: Paging
    envelope: list[str]
    fields: dict[str, str | None]
    keys: list[str]
    required: list[str]
    body: list[str]
    parents: dict[str, list[str]]
    tenant: bool
    list: str | None = None
    total: str | None = None
    next: str | None = None
    window: tuple[str, str] | None = None


DOCUMENTED = msgspec.json.decode(
    Path(__file__).with_name("documented.json").read_bytes(), type=dict[str, Documented], strict=True
)
LISTS = [name for name, call in DOCUMENTED.items() if call.list]
CHILDREN = [name for name, call in DOCUMENTED.items() if call.parents]
WINDOWED = [name for name, call in DOCUMENTED.items() if call.window]
SIZED = [name for name, call in DOCUMENTED.items() if call.paging.page_size_param]
