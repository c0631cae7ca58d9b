"""How operations and lists are told over HTTP."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from urllib.parse import urlencode

import azure.functions as func

from functions.http import accepted, api_url, error_body, json_answer
from shared.opus.documents import Operation
from shared.opus.links import Links
from shared.opus.operations import Listing, Progress


async def told(req: func.HttpRequest, progress: Progress, links: Links, *, wait: bool = True) -> func.HttpResponse:
    """An operation: 200, or 422 when every item failed; while it runs 202 with the link that needs no key.

    Args:
        wait: Whether the caller waits for the outcome; who does not gets 200 while it runs.
    """
    operation = progress.operation
    if progress.retry_after is not None:
        if not wait:
            return json_answer(operation)
        query = urlencode({"token": await links.poll_token(operation.operation_id)})
        location = api_url(req, f"operations/{operation.operation_id}/poll?{query}")
        return accepted(operation, location=location, retry_after=progress.retry_after)
    if operation.status != "Failed":
        return json_answer(operation)
    error = error_body("AllFailed", f"Every item failed. The first one: {operation.failed[0].message}")
    body = {"error": error, "operation": _body(operation)}
    return json_answer(body, status=HTTPStatus.UNPROCESSABLE_ENTITY, headers={"x-ms-error-code": "AllFailed"})


def listed(req: func.HttpRequest, listing: Listing, **query: str) -> func.HttpResponse:
    """Operations, and where the list goes on with the same query."""
    rest = query | {"after": listing.rest} if listing.rest else None
    return page(req, "operations", [_body(operation) for operation in listing.operations], rest)


def page(
    req: func.HttpRequest, path: str, value: Sequence[Mapping[str, object]], rest: Mapping[str, str] | None
) -> func.HttpResponse:
    """One page of a list; ``rest`` is the query of the next one."""
    link = {"nextLink": api_url(req, f"{path}?{urlencode(rest)}")} if rest else {}
    return json_answer({"value": value, **link})


def _body(operation: Operation) -> dict[str, object]:
    return operation.model_dump(mode="json", by_alias=True)
