"""Health: whether the app can work, for anybody, and why not, for its administrator."""

import asyncio
import logging
from http import HTTPStatus

import azure.functions as func

from functions.http.endpoint import endpoint
from functions.http.responses import json_response
from shared.doctor import Report, examine
from shared.services import services
from shared.telemetry.events import log_failure
from shared.version import VERSION

ANSWERED_WITHIN = 4
"""Seconds: probes give up after five or more."""

bp = func.Blueprint()
log = logging.getLogger(__name__)


@bp.route("health", methods=["GET", "HEAD"], auth_level=func.AuthLevel.ANONYMOUS)
@endpoint
async def health(req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG001 - the binding wants it
    """Say whether the app can work; nothing more, since anybody may ask."""
    status = await _status()
    code = HTTPStatus.OK if status == "ok" else HTTPStatus.SERVICE_UNAVAILABLE
    return json_response({"status": status, "version": VERSION}, status=code)


@bp.route("health/details", methods=["GET"])
@endpoint
async def health_details(req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG001 - the binding wants it
    """Return every check with its status, message and remedy; it asks everything the app depends on."""
    return json_response(Report.of(await examine(services, look=True)))


async def _status() -> str:
    """Return ``ok`` or ``unhealthy``, whatever is away."""
    try:
        async with asyncio.timeout(ANSWERED_WITHIN):
            return Report.of(await examine(services)).status
    except TimeoutError:
        return "unhealthy"
    except Exception:  # noqa: BLE001 - a probe has to be answered, and this fault is one more reason to say so
        log_failure(log, "health.failed")
        return "unhealthy"
