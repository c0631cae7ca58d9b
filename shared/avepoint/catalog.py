"""The datasets AvePoint documents, loaded from ``catalog/*.toml``: adding one takes a few lines of data and no code."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from shared.avepoint.platform import Registration, Source
from shared.avepoint.request import Method

_FOLDER = Path(__file__).parent / "catalog"

_PLACEHOLDER = re.compile(r"\{(\w+)\}")

type DatasetKind = Literal["full", "window"]
type Value = str | int
"""What goes into a parameter."""

type FieldPaths = Annotated[
    tuple[str, ...], BeforeValidator(lambda given: (given,) if isinstance(given, str) else given)
]
"""Dotted paths into an item, ``[]`` meaning every element of a list; the first that has a value counts."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PageSize(_Strict):
    """How large a page may be asked for: the query parameter, and what AvePoint documents about it."""

    parameter: str
    default: int | None = None
    most: int | None = None


class PageNumber(_Strict):
    """The query parameter that numbers the pages, and whether it alone leads from page to page.

    Where it does not ``drive``, a link says whether there is a next page, and may say where.
    """

    parameter: str
    first: int
    drives: bool = False


class WindowParameters(_Strict):
    """The query parameters that bound a list in time, how they write an instant, and how long a span may be."""

    from_: str = Field(alias="from")
    to: str
    format: Literal["time", "date"] = "time"
    most_days: int | None = None


class FailureKeys(_Strict):
    """The keys of an answer that tell of a failure inside a 200, beside the list.

    Attributes:
        status: A status, as a number or as text; anything but 200 is a failure.
        error: A text that is empty unless something failed.
        message: A text that explains a failure, and alone means none.
    """

    status: str
    error: str | None = None
    message: str | None = None


class Parent(_Strict):
    """The dataset whose items a child dataset is asked for, one after the other.

    ``parameters`` maps each parameter of the child to a field of the parent's items, which are themselves children
    where that dataset has a parent: ``_parent.id`` is then a value of the grandparent. ``lists`` are the parameters
    that take a list of values; it is given one.
    """

    dataset: str
    parameters: dict[str, FieldPaths]
    lists: tuple[str, ...] = ()


class Dataset(_Strict):
    """One documented list of AvePoint.

    Attributes:
        family: The catalogue file it stands in, without its ending; its fields stand in the file of that name.
        path: Below the base URL of the source; ``{name}`` stands for a parameter of the parent, or for a choice.
        envelope: Dotted path to the list in the answer; ``$root`` where the answer is the list, or the only item.
        single: The envelope holds one object, which is the only item.
        total: Dotted path to the total number of items; ``None`` where none is given.
        link: Dotted path to the link to the next page; ``None`` where everything comes at once.
        token: Parameter that takes the link when it is a bare token.
        page: Page number; ``None`` where pages are not numbered.
        pages_in: Where paging parameters go: into the query, or into the JSON body of a POST.
        failure: What tells of a failure inside a 200; ``None`` where nothing is documented. No document says that the
            list may be absent or ``null``.
        key: Fields that identify an item; empty where none are documented.
        tenant: Query parameter that narrows the list to one tenant.
        size: Page size; ``None`` where the caller has no say.
        window: Bounds in time; ``None`` where the whole list is harvested every time.
        parent: The dataset whose items the list is asked for, one by one; ``None`` where there is one list for all.
        choices: Parameters that are required and can take only these values; each parent is asked with each of them.
        query: Parameters that are required and always the same.
        successor: The dataset of the Graph API that replaces a legacy one, with the same ids and the same names of
            fields, but for their case.
        quirks: What the documents get wrong or leave open.
    """

    source: Source
    service: str
    name: str
    family: str = ""
    path: str
    scope: str
    method: Method = "GET"
    envelope: str
    single: bool = False
    total: str | None = None
    link: str | None = None
    token: str | None = None
    page: PageNumber | None = None
    pages_in: Literal["query", "body"] = "query"
    failure: FailureKeys | None = None
    key: tuple[str, ...] = ()
    tenant: str | None = None
    size: PageSize | None = None
    window: WindowParameters | None = None
    parent: Parent | None = None
    choices: dict[str, tuple[Value, ...]] = {}
    query: dict[str, str] = {}
    successor: str | None = None
    quirks: tuple[str, ...] = ()

    @property
    def kind(self) -> DatasetKind:
        """Whether a snapshot is an increment or everything."""
        return "window" if self.window else "full"

    @property
    def registration(self) -> Registration:
        """The app registration to ask under: Elements apps are registered in a portal of their own."""
        return "elements" if self.source == "elements" else "avepoint"

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        given = {*self.choices, *(self.parent.parameters if self.parent else ())}
        if unknown := set(_PLACEHOLDER.findall(self.path)) - given:
            raise ValueError(f"path: nothing says what goes into {', '.join(sorted(unknown))}")
        if self.choices and self.parent is None:
            raise ValueError("choices: only child datasets take them")
        if self.parent and (self.tenant or (self.window and self.window.most_days)):
            raise ValueError("parent: neither 'tenant' nor 'window.most_days' goes with it")
        return self


class _File(_Strict):
    source: Source
    service: str
    defaults: dict[str, object] = {}
    datasets: dict[str, dict[str, object]]


class BrokenCatalog(Exception):
    """A catalogue file is wrong; the message names file, dataset and key."""


type Catalog = Mapping[tuple[Source, str], Dataset]


@cache
def catalog() -> Catalog:
    """All datasets, by source and name, in the order of the files."""
    return load_catalog(_FOLDER)


def load_catalog(folder: Path) -> Catalog:
    """Read every ``*.toml`` in ``folder``.

    Raises:
        BrokenCatalog: A file is no TOML, a key is unknown, missing or at odds with another, or a dataset is there
            twice.
    """
    found: dict[tuple[Source, str], Dataset] = {}
    for path in sorted(folder.glob("*.toml")):
        for dataset in _datasets(path):
            if (dataset.source, dataset.name) in found:
                raise BrokenCatalog(f"{path.name}: {dataset.source}/{dataset.name} is there twice")
            found[dataset.source, dataset.name] = dataset
    for dataset in found.values():
        if dataset.parent and (dataset.source, dataset.parent.dataset) not in found:
            raise BrokenCatalog(f"{dataset.source}/{dataset.name}: parent: there is no {dataset.parent.dataset}")
        if dataset.successor and ("graph", dataset.successor) not in found:
            raise BrokenCatalog(f"{dataset.source}/{dataset.name}: successor: there is no {dataset.successor}")
    return found


def _datasets(path: Path) -> Iterator[Dataset]:
    try:
        file = _File.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        raise BrokenCatalog(f"{path.name}: {error}") from error
    for name, values in file.datasets.items():
        try:
            yield Dataset.model_validate(
                {
                    "source": file.source,
                    "service": file.service,
                    "family": path.stem,
                    "name": name,
                    **file.defaults,
                    **values,
                }
            )
        except ValidationError as error:
            faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
            raise BrokenCatalog(f"{path.name}: {name}: {faults}") from error
