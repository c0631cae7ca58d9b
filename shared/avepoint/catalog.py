"""The datasets AvePoint documents, loaded from ``catalog/*.toml``: adding one takes a few lines of data and no code."""

import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.avepoint.platform import Registration, Source
from shared.avepoint.request import Method

_FOLDER = Path(__file__).parent / "catalog"

type Kind = Literal["full", "window"]


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


class Dataset(_Strict):
    """One documented list of AvePoint.

    Attributes:
        path: Below the base URL of the source.
        envelope: Dotted path to the list in the answer; ``$root`` where the answer is the list.
        single: The envelope holds one object, which is the only item.
        total: Dotted path to the total number of items; ``None`` where none is given.
        link: Dotted path to the link to the next page; ``None`` where everything comes at once.
        token: Parameter that takes the link when it is a bare token.
        page: Page number; ``None`` where pages are not numbered.
        pages_in: Where paging parameters go: into the query, or into the JSON body of a POST.
        status: Key of a status inside the answer; anything but 200 there is a failure.
        key: Fields that identify an item; empty where none are documented.
        tenant: Query parameter that narrows the list to one tenant.
        size: Page size; ``None`` where the caller has no say.
        window: Bounds in time; ``None`` where the whole list is harvested every time.
        query: Parameters that are required and always the same.
        quirks: What the documents get wrong or leave open.
    """

    source: Source
    service: str
    name: str
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
    status: str | None = None
    key: tuple[str, ...] = ()
    tenant: str | None = None
    size: PageSize | None = None
    window: WindowParameters | None = None
    query: dict[str, str] = {}
    quirks: tuple[str, ...] = ()

    @property
    def kind(self) -> Kind:
        """Whether a snapshot is an increment or everything."""
        return "window" if self.window else "full"

    @property
    def registration(self) -> Registration:
        """The app registration to ask under: Elements apps are registered in a portal of their own."""
        return "elements" if self.source == "elements" else "avepoint"


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
        BrokenCatalog: A file is no TOML, a key is unknown or missing, or a dataset is there twice.
    """
    found: dict[tuple[Source, str], Dataset] = {}
    for path in sorted(folder.glob("*.toml")):
        for dataset in _datasets(path):
            if (dataset.source, dataset.name) in found:
                raise BrokenCatalog(f"{path.name}: {dataset.source}/{dataset.name} is there twice")
            found[dataset.source, dataset.name] = dataset
    return found


def _datasets(path: Path) -> Iterator[Dataset]:
    try:
        file = _File.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        raise BrokenCatalog(f"{path.name}: {error}") from error
    for name, values in file.datasets.items():
        try:
            yield Dataset.model_validate(
                {"source": file.source, "service": file.service, "name": name, **file.defaults, **values}
            )
        except ValidationError as error:
            faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
            raise BrokenCatalog(f"{path.name}: {name}: {faults}") from error
