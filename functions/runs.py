"""Runs over HTTP: start, read, resume, cancel."""

import re

import azure.functions as func

from functions.datasets import wanted_source
from functions.harvest_request import MOST_DATASETS, StartHarvest
from functions.http.bodies import Most, parse_body
from functions.http.endpoint import endpoint
from functions.http.queries import AFTER, DRY_RUN, RUNS_TOP, WAIT_FOR_RUN
from functions.http.requests import flag, text, whole_number
from functions.http.responses import accepted, api_url, json_response, page_response
from shared.azure.bounded_map import bounded_map
from shared.azure.damage import unless_unusable
from shared.errors import InvalidInput, NotFound
from shared.harvest.plan.run import Run, read_run, run_ids
from shared.harvest.runs.control import cancel, resume
from shared.harvest.runs.starting import plan_requested, start_requested
from shared.harvest.runs.state import RunView, view
from shared.services import Services, services

RUN_POLL_SECONDS = 10

_RUNS_AT_ONCE = 4
"""How many runs a list reads at the same time; each may have forty datasets, each with several blobs."""

_RUN_ID = re.compile(r"\d{8}T\d{6}Z-[a-z]+(-[0-9a-z]+)?", re.ASCII)

bp = func.Blueprint()


@bp.route("harvests", methods=["POST"])
@endpoint
async def start_harvest(req: func.HttpRequest) -> func.HttpResponse:
    """Start a harvest, or with ``dryRun`` say what it would do."""
    dry_run = flag(req, DRY_RUN)
    wanted = await parse_body(StartHarvest, req, most={"datasets": Most(MOST_DATASETS)})
    stretch = wanted.window.as_window() if wanted.window else None
    opened = await services()
    if dry_run:
        return json_response(await plan_requested(opened, wanted.source, wanted.datasets, stretch=stretch))
    run = await start_requested(opened, wanted.source, wanted.datasets, stretch=stretch)
    return _under_way(req, await view(opened.storage, run))


@bp.route("runs", methods=["GET"])
@endpoint
async def list_runs(req: func.HttpRequest) -> func.HttpResponse:
    """List runs, the newest first, of one source or of all."""
    source, top, after = wanted_source(req), whole_number(req, RUNS_TOP), _after(req)
    opened = await services()
    rest = [run_id for run_id in await run_ids(opened.storage, source) if after is None or run_id < after]
    views = await _views(opened, rest[:top])
    query = {"top": str(top), **({"source": source} if source else {})}
    next_query = query | {"after": rest[top - 1]} if len(rest) > top else None
    return page_response(req, "runs", [seen.model_dump(mode="json", by_alias=True) for seen in views], next_query)


@bp.route("runs/{runId}", methods=["GET"])
@endpoint
async def get_run(req: func.HttpRequest) -> func.HttpResponse:
    """Return one run; with ``wait`` 202 until it has ended, for callers that poll."""
    wait = flag(req, WAIT_FOR_RUN)
    seen = await _view(await services(), req.route_params["runId"])
    if seen is None:
        raise _no_run(req)
    return _under_way(req, seen) if wait and seen.state == "running" else json_response(seen)


@bp.route("runs/{runId}/resume", methods=["POST"])
@endpoint
async def resume_run(req: func.HttpRequest) -> func.HttpResponse:
    """Try again what failed in a run."""
    opened = await services()
    return await _changed(req, opened, await resume(opened, req.route_params["runId"]))


@bp.route("runs/{runId}/cancel", methods=["POST"])
@endpoint
async def cancel_run(req: func.HttpRequest) -> func.HttpResponse:
    """Cancel a run."""
    opened = await services()
    return await _changed(req, opened, await cancel(opened, req.route_params["runId"]))


def _under_way(req: func.HttpRequest, seen: RunView) -> func.HttpResponse:
    location = api_url(req, f"runs/{seen.run_id}", {"wait": "true"})
    return accepted(seen, location=location, retry_after=RUN_POLL_SECONDS)


async def _views(opened: Services, wanted: list[str]) -> list[RunView]:
    """Return runs in the order of their ids; one that cannot be read is left out, and named in the log."""

    async def look(run_id: str) -> RunView | None:
        return await unless_unusable(f"runs/{run_id}", _view(opened, run_id))

    return [seen for seen in await bounded_map(look, wanted, at_once=_RUNS_AT_ONCE) if seen]


async def _view(opened: Services, run_id: str) -> RunView | None:
    run = await read_run(opened.storage, run_id)
    return await view(opened.storage, run) if run else None


async def _changed(req: func.HttpRequest, opened: Services, run: Run | None) -> func.HttpResponse:
    if run is None:
        raise _no_run(req)
    return json_response(await view(opened.storage, run))


def _no_run(req: func.HttpRequest) -> NotFound:
    return NotFound(f"there is no run {req.route_params['runId']}")


def _after(req: func.HttpRequest) -> str | None:
    after = text(req, AFTER)
    if after and not _RUN_ID.fullmatch(after):
        raise InvalidInput("after is not from a link of this app", target="after", remedy="Begin the list again.")
    return after
