"""Finds the dataset and the table that a caller names."""

from dataclasses import dataclass

from shared.avepoint.catalog import Dataset, catalog
from shared.avepoint.platform import SOURCES
from shared.closest import closest_hint
from shared.errors import NotFound, NotReady
from shared.services import Services
from shared.tables.build.names import is_enabled, table_name
from shared.tables.build.state import TableState, read_state
from shared.tables.schema.columns import TableSpec
from shared.tables.schema.spec import spec_of


def find_dataset(source: str, name: str) -> Dataset:
    """Return the dataset of this name.

    Raises:
        NotFound: There is no such source or dataset; the message names the closest one.
    """
    if source not in SOURCES:
        raise NotFound(f"there is no source {source[:100]!r}{closest_hint(source, SOURCES)}")
    names = {dataset.name: dataset for dataset in catalog().values() if dataset.source == source}
    if name not in names:
        raise NotFound(f"there is no dataset {name[:100]!r} of {source}{closest_hint(name, names)}")
    return names[name]


@dataclass(frozen=True, slots=True)
class DatasetTable:
    """The table of a dataset, as it is.

    Attributes:
        run_id: The snapshot it names.
        version: Its version in Delta Lake.
    """

    dataset: Dataset
    spec: TableSpec
    state: TableState
    run_id: str
    version: int

    @property
    def name(self) -> str:
        """The folder of the table, in the container ``tables``."""
        return table_name(self.dataset.source, self.dataset.name)


async def current_table(services: Services, dataset: Dataset) -> DatasetTable:
    """Return the table of a dataset.

    Raises:
        NotReady: It is switched off, or has not been built yet.
    """
    name = f"{dataset.source}/{dataset.name}"
    if not is_enabled(services.settings, dataset.source, dataset.name):
        raise NotReady(f"the table of {name} is switched off", remedy="Name the dataset in TABLES_DATASETS.")
    state = (await read_state(services.storage, dataset.source, dataset.name)).value
    if state.version is None or state.ground.run_id is None:
        reason = f": {state.reason}" if state.reason else ""
        raise NotReady(f"{name} has no table yet{reason}", remedy=state.remedy or _HOW)
    spec = spec_of(dataset, hidden=services.settings.tables_hide_fields)
    return DatasetTable(dataset, spec, state, state.ground.run_id, state.version)


_HOW = (
    "The first snapshot that is published makes it: name the dataset in its HARVEST_*_DATASETS, or POST /api/harvests."
)
