"""Which datasets a source harvests: those of the settings, or those that somebody asks for."""

from collections.abc import Sequence

from shared.avepoint.catalog import Dataset, catalog
from shared.avepoint.platform import Source
from shared.errors import InvalidInput, Misconfigured, Problem
from shared.harvest.plan.plan import UnknownDatasets, choose
from shared.settings import Settings


def configured(settings: Settings, source: Source) -> list[Dataset]:
    """Return the datasets the settings choose.

    Raises:
        Misconfigured: A name or glob matches nothing.
    """
    try:
        return choose(catalog(), source, settings.datasets(source))
    except UnknownDatasets as error:
        name = f"HARVEST_{source.upper()}_DATASETS"
        raise Misconfigured([Problem(name, str(error), "See docs/datasets.md for the names.")]) from error


def requested(settings: Settings, source: Source, names: Sequence[str] | None) -> list[Dataset]:
    """Return the datasets somebody asks for.

    Raises:
        InvalidInput: A name or glob matches nothing, or there is nothing to do.
    """
    if names is None:
        datasets = configured(settings, source)
        remedy = f"Name some in 'datasets', or set HARVEST_{source.upper()}_DATASETS."
    else:
        try:
            datasets = choose(catalog(), source, names)
        except UnknownDatasets as error:
            raise InvalidInput(str(error), target="datasets") from error
        remedy = "Name at least one."
    if not datasets:
        raise InvalidInput(f"no dataset of {source} is chosen", target="datasets", remedy=remedy)
    return datasets
