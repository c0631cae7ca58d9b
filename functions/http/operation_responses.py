"""Operations over HTTP: one of them, or a page of a list."""

from collections.abc import Mapping
from http import HTTPStatus

import azure.functions as func

from functions.http.error_responses import error_body
from functions.http.responses import accepted, api_url, json_response, page_response
from shared.opus.client.links import Links
from shared.opus.ledger.documents import Operation
from shared.opus.operations.progress import OperationPage, OperationProgress

REPLAYED = {"Idempotent-Replayed": "true"}
"""What an answer carries that an earlier call got already."""


async def operation_response(
    req: func.HttpRequest, progress: OperationProgress, links: Links, *, wait: bool = True
) -> func.HttpResponse:
    """Return an operation: 200, or 422 when every item failed; while it runs 202 with the link that needs no key.

    Args:
        wait: Whether the caller waits for the outcome; one that does not gets 200 while it runs.
    """
    response = await _response(req, progress, links, wait=wait)
    if progress.replayed:
        response.headers.update(REPLAYED)
    return response


async def _response(
    req: func.HttpRequest, progress: OperationProgress, links: Links, *, wait: bool
) -> func.HttpResponse:
    operation = progress.operation
    if progress.retry_after is not None:
        if not wait:
            return json_response(operation)
        token = await links.poll_token(operation.operation_id)
        location = api_url(req, f"operations/{operation.operation_id}/poll", {"token": token})
        return accepted(operation, location=location, retry_after=progress.retry_after)
    if operation.status != "Failed":
        return json_response(operation)
    error = error_body("AllFailed", f"Every item failed. The first one: {operation.failed[0].message}")
    body = {"error": error, "operation": _body(operation)}
    return json_response(body, status=HTTPStatus.UNPROCESSABLE_ENTITY, headers={"x-ms-error-code": "AllFailed"})


def operations_response(req: func.HttpRequest, found: OperationPage, query: Mapping[str, str]) -> func.HttpResponse:
    """Return a page of operations; the list goes on with the same query."""
    next_query = {**query, "after": found.next_mark} if found.next_mark else None
    return page_response(req, "operations", [_body(operation) for operation in found.operations], next_query)


def _body(operation: Operation) -> dict[str, object]:
    return operation.model_dump(mode="json", by_alias=True)
