"""Tables over HTTP: rows, changes, history, snapshots, and what the columns are."""

import azure.functions as func

from functions.http.endpoint import endpoint
from functions.http.page_links import next_link, query_of_link
from functions.http.queries import BY, CHANGE, DAYS, FILTER, ORDERBY, ROWS_TOP, SELECT, SINCE
from functions.http.requests import choice, sent_bytes, text, wants_csv, whole_number
from functions.http.responses import csv_response, json_response, rows_response
from shared.avepoint.catalog import Dataset
from shared.services import services
from shared.tables.serving.changes import KINDS, ChangesQuery, read_changes, read_changes_csv
from shared.tables.serving.datasets import current_table, find_dataset
from shared.tables.serving.description import describe_table
from shared.tables.serving.history import read_history
from shared.tables.serving.items import ItemsQuery, read_items, read_items_csv
from shared.tables.serving.snapshots import SnapshotsQuery, read_snapshots

bp = func.Blueprint()


@bp.route("datasets/{source}/{dataset}/items", methods=["GET"])
@endpoint
async def list_items(req: func.HttpRequest) -> func.HttpResponse:
    """List the rows of the current table of a dataset."""
    dataset, as_csv, app = dataset_named(req), wants_csv(req), await services()
    query = await query_of_link(req, app, "list_items", ItemsQuery) or _items_query(req, dataset)
    current = await current_table(app, dataset)
    if as_csv:
        return csv_response(await read_items_csv(app, current, query), dataset.name)
    page = await read_items(app, current, query)
    link = await next_link(req, app, "list_items", _path(dataset, "items"), page.next)
    return rows_response(page.rows, link)


@bp.route("datasets/{source}/{dataset}/changes", methods=["GET"])
@endpoint
async def list_changes(req: func.HttpRequest) -> func.HttpResponse:
    """List the changes of a dataset since a run, or of its newest snapshot."""
    dataset, as_csv, app = dataset_named(req), wants_csv(req), await services()
    query = await query_of_link(req, app, "list_changes", ChangesQuery) or _changes_query(req, dataset)
    current = await current_table(app, dataset)
    if as_csv:
        return csv_response(await read_changes_csv(app, current, query), f"{dataset.name}-changes")
    page = await read_changes(app, current, query)
    link = await next_link(req, app, "list_changes", _path(dataset, "changes"), page.next)
    return rows_response(page.changes, link, until=page.until)


@bp.route("datasets/{source}/{dataset}/snapshots", methods=["GET"])
@endpoint
async def list_snapshots(req: func.HttpRequest) -> func.HttpResponse:
    """List the snapshots of a dataset, published or not, the newest first."""
    dataset, top, app = dataset_named(req), whole_number(req, ROWS_TOP), await services()
    query = await query_of_link(req, app, "list_snapshots", SnapshotsQuery)
    query = query or SnapshotsQuery(source=dataset.source, dataset=dataset.name, top=top)
    entries, following = await read_snapshots(app.storage, dataset, query)
    link = await next_link(req, app, "list_snapshots", _path(dataset, "snapshots"), following)
    return rows_response([entry.to_json().decode() for entry in entries], link)


@bp.route("datasets/{source}/{dataset}/schema", methods=["GET"])
@endpoint
async def get_schema(req: func.HttpRequest) -> func.HttpResponse:
    """Describe the columns of the table of a dataset, and how they came to be."""
    dataset, app = dataset_named(req), await services()
    return json_response(await describe_table(app, await current_table(app, dataset)))


@bp.route("datasets/{source}/{dataset}/history", methods=["GET"])
@endpoint
async def get_history(req: func.HttpRequest) -> func.HttpResponse:
    """Count the items of a dataset day by day, in all or by the values of a field."""
    dataset, days, app = dataset_named(req), whole_number(req, DAYS), await services()
    counts = await read_history(app, await current_table(app, dataset), by=text(req, BY), days=days)
    return rows_response([count.to_json().decode() for count in counts], None)


def dataset_named(req: func.HttpRequest) -> Dataset:
    """Return the dataset in the path of a request; raises ``NotFound``."""
    return find_dataset(req.route_params["source"], req.route_params["dataset"])


def _items_query(req: func.HttpRequest, dataset: Dataset) -> ItemsQuery:
    return ItemsQuery(
        source=dataset.source,
        dataset=dataset.name,
        select=text(req, SELECT),
        filter=text(req, FILTER),
        filter_bytes=sent_bytes(req, FILTER),
        orderby=text(req, ORDERBY),
        top=whole_number(req, ROWS_TOP),
    )


def _changes_query(req: func.HttpRequest, dataset: Dataset) -> ChangesQuery:
    return ChangesQuery(
        source=dataset.source,
        dataset=dataset.name,
        since=text(req, SINCE),
        change=choice(req, CHANGE, KINDS),
        top=whole_number(req, ROWS_TOP),
    )


def _path(dataset: Dataset, what: str) -> str:
    return f"datasets/{dataset.source}/{dataset.name}/{what}"
