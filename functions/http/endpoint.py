"""What all HTTP functions share: who is let in, which query is understood, and what becomes of an error."""

import functools
import logging
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import azure.functions as func

from functions.http.auth import admit, caller
from functions.http.error_responses import error_response, internal_error
from functions.http.queries import check_query
from shared.doctor.calls import CALLED_BY_FLOWS, note_call
from shared.errors import AppError
from shared.services import services
from shared.telemetry.events import log_failure

log = logging.getLogger(__name__)

type Handler = Callable[[func.HttpRequest], Awaitable[func.HttpResponse]]


def endpoint(handler: Handler) -> Handler:
    """Let a request into a handler if its caller may call it and its query is understood; answer what it raises."""

    @functools.wraps(handler)
    async def respond(req: func.HttpRequest) -> func.HttpResponse:
        try:
            admit(req, handler.__name__)
            check_query(req, handler.__name__)
            response = await handler(req)
        except AppError as error:
            return error_response(error)
        except Exception:  # noqa: BLE001 - the last line of defence: a fault of ours must not show its inside to the caller
            log_failure(log, "http.failed", path=urlsplit(req.url).path)
            return internal_error()
        await _note(req, handler.__name__)
        return response

    return respond


async def _note(req: func.HttpRequest, function: str) -> None:
    """Leave a mark of a call that a program makes: it is missed when it stays away."""
    if function not in CALLED_BY_FLOWS:
        return
    try:
        app = await services()
        await note_call(app.storage, caller=caller(req), function=function, now=app.clock())
    except Exception:  # noqa: BLE001 - what the call has done is told, whatever becomes of its mark
        log_failure(log, "call.not_noted", function=function)
