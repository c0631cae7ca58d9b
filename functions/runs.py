"""Runs, datasets and snapshots over HTTP: start, read, resume, cancel."""

import asyncio
from typing import Literal

import azure.functions as func
from pydantic import BaseModel, ConfigDict

from functions.http import NotFound, accepted, answering, api_url, flag, json_answer, number, parsed
from shared.avepoint.platform import SOURCES, Source
from shared.errors import InvalidInput
from shared.harvest.control import cancel, resume
from shared.harvest.inventory import list_inventory
from shared.harvest.runs import Run, read_run, run_ids
from shared.harvest.snapshot import read_latest, read_manifest
from shared.harvest.starting import plan_requested, start_requested
from shared.harvest.state import RunView, view
from shared.services import Services, services

POLL_SECONDS = 10

bp = func.Blueprint()


class StartHarvest(BaseModel):
    """The body of ``POST /harvests``."""

    model_config = ConfigDict(extra="forbid")

    source: Literal["enpower", "graph", "elements"]
    datasets: list[str] | None = None


@bp.route("harvests", methods=["POST"])
@answering
async def start_harvest(req: func.HttpRequest) -> func.HttpResponse:
    """Start a harvest, or with ``dryRun`` say what it would do."""
    wanted = parsed(StartHarvest, req)
    dry_run = flag(req, "dryRun")
    opened = await services()
    if dry_run:
        return json_answer(await plan_requested(opened, wanted.source, wanted.datasets))
    run = await start_requested(opened, wanted.source, wanted.datasets)
    return _under_way(req, await view(opened.storage, run))


@bp.route("runs", methods=["GET"])
@answering
async def list_runs(req: func.HttpRequest) -> func.HttpResponse:
    """The newest runs, of one source or of all."""
    source = _wanted_source(req)
    top = number(req, "top", default=20, least=1, most=200)
    opened = await services()
    newest = (await run_ids(opened.storage, source))[:top]
    views = await asyncio.gather(*(_view(opened, run_id) for run_id in newest))
    return json_answer({"value": [seen.model_dump(mode="json", by_alias=True) for seen in views if seen]})


@bp.route("runs/{runId}", methods=["GET"])
@answering
async def get_run(req: func.HttpRequest) -> func.HttpResponse:
    """One run; with ``wait`` 202 until it has ended, for callers that poll."""
    wait = flag(req, "wait")
    seen = await _view(await services(), req.route_params["runId"])
    if seen is None:
        raise _no_run(req)
    return _under_way(req, seen) if wait and seen.state == "running" else json_answer(seen)


@bp.route("runs/{runId}/resume", methods=["POST"])
@answering
async def resume_run(req: func.HttpRequest) -> func.HttpResponse:
    """Try again what failed in a run."""
    opened = await services()
    return await _changed(req, opened, await resume(opened, req.route_params["runId"]))


@bp.route("runs/{runId}/cancel", methods=["POST"])
@answering
async def cancel_run(req: func.HttpRequest) -> func.HttpResponse:
    """Cancel a run."""
    opened = await services()
    return await _changed(req, opened, await cancel(opened, req.route_params["runId"]))


@bp.route("datasets", methods=["GET"])
@answering
async def list_datasets(req: func.HttpRequest) -> func.HttpResponse:
    """Every dataset, of one source or of all, with its newest snapshot and its next tick."""
    source = _wanted_source(req)
    entries = [entry for entry in await list_inventory(await services()) if source in {None, entry.source}]
    return json_answer({"value": [entry.model_dump(mode="json", by_alias=True) for entry in entries]})


@bp.route("datasets/{source}/{dataset}/latest", methods=["GET"])
@answering
async def get_latest(req: func.HttpRequest) -> func.HttpResponse:
    """The manifest of the newest published snapshot of a dataset."""
    source, dataset = _source(req.route_params["source"]), req.route_params["dataset"]
    storage = (await services()).storage
    pointer = await read_latest(storage, source, dataset)
    manifest = await read_manifest(storage, pointer.run_id, source, dataset) if pointer else None
    if manifest is None:
        raise NotFound(f"no snapshot of {source}/{dataset} has been published")
    return json_answer(manifest)


def _under_way(req: func.HttpRequest, seen: RunView) -> func.HttpResponse:
    return accepted(seen, location=api_url(req, f"runs/{seen.run_id}?wait=true"), retry_after=POLL_SECONDS)


async def _view(opened: Services, run_id: str) -> RunView | None:
    run = await read_run(opened.storage, run_id)
    return await view(opened.storage, run) if run else None


async def _changed(req: func.HttpRequest, opened: Services, run: Run | None) -> func.HttpResponse:
    if run is None:
        raise _no_run(req)
    return json_answer(await view(opened.storage, run))


def _no_run(req: func.HttpRequest) -> NotFound:
    return NotFound(f"there is no run {req.route_params['runId']}")


def _wanted_source(req: func.HttpRequest) -> Source | None:
    """The source that the query narrows a list to, if any."""
    return _source(req.params["source"]) if req.params.get("source") else None


def _source(name: str) -> Source:
    source = next((known for known in SOURCES if known == name), None)
    if source is None:
        raise InvalidInput(f"source is one of {', '.join(SOURCES)}, not {name!r}", target="source")
    return source
