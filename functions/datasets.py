"""Datasets and their snapshots over HTTP."""

import asyncio

import azure.functions as func

from functions.http.endpoint import endpoint
from functions.http.queries import SOURCE
from functions.http.requests import text
from functions.http.responses import json_response
from shared.avepoint.catalog import catalog
from shared.avepoint.platform import SOURCES, Source
from shared.closest import closest_hint
from shared.errors import InvalidInput, NotFound
from shared.harvest.snapshots.inventory import Entry, list_inventory
from shared.harvest.snapshots.manifest import read_newest_manifest
from shared.services import Services, services
from shared.tables.serving.table_info import TableStates, table_info, table_states

bp = func.Blueprint()


@bp.route("datasets", methods=["GET"])
@endpoint
async def list_datasets(req: func.HttpRequest) -> func.HttpResponse:
    """List every dataset, of one source or of all, with its newest snapshot and its next tick."""
    source = wanted_source(req)
    opened = await services()
    entries, states = await asyncio.gather(list_inventory(opened), table_states(opened.storage))
    return json_response(
        {"value": [_with_table(opened, one, states) for one in entries if source in {None, one.source}]}
    )


@bp.route("datasets/{source}/{dataset}/latest", methods=["GET"])
@endpoint
async def get_latest(req: func.HttpRequest) -> func.HttpResponse:
    """Return the manifest of the newest published snapshot of a dataset."""
    source, dataset = dataset_of(req)
    opened = await services()
    manifest = await read_newest_manifest(opened.storage, source, dataset, now=opened.clock())
    if manifest is None:
        raise NotFound(f"no snapshot of {source}/{dataset} has been published")
    return json_response(manifest)


def _with_table(opened: Services, entry: Entry, states: TableStates) -> dict[str, object]:
    state = states.get((entry.source, entry.name))
    table = table_info(state, opened.settings, entry.source, entry.name, latest_run=entry.latest_run)
    told: dict[str, object] = entry.model_dump(mode="json", by_alias=True)
    return told | {"table": table.model_dump(mode="json", by_alias=True)}


def dataset_of(req: func.HttpRequest) -> tuple[Source, str]:
    """Return the dataset that the path of a request names.

    Raises:
        NotFound: There is no such source or dataset.
    """
    source_name, dataset = req.route_params["source"], req.route_params["dataset"]
    source = next((known for known in SOURCES if known == source_name), None)
    if source is None:
        raise NotFound(f"there is no source {source_name!r}{closest_hint(source_name, SOURCES)}")
    if (source, dataset) not in catalog():
        names = [name for owner, name in catalog() if owner == source]
        raise NotFound(f"there is no dataset {dataset!r} of {source}{closest_hint(dataset, names)}")
    return source, dataset


def wanted_source(req: func.HttpRequest) -> Source | None:
    """Return the source that a query narrows a list to, if any.

    Raises:
        InvalidInput: It is not one.
    """
    name = text(req, SOURCE)
    source = next((known for known in SOURCES if known == name), None)
    if name and source is None:
        raise InvalidInput(f"source is one of {', '.join(SOURCES)}, not {name!r}", target="source")
    return source
