"""JSON over HTTP: responses, pages of lists, and the absolute URLs in them."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Final
from urllib.parse import urlencode, urlsplit

import azure.functions as func

from shared.document import Document
from shared.errors import InvalidInput

LONGEST_URL: Final = 4096
"""Bytes: the host refuses a longer query, and gateways a longer URL."""


def json_response(
    body: Document | Mapping[str, object], *, status: int = HTTPStatus.OK, headers: Mapping[str, str] | None = None
) -> func.HttpResponse:
    """Return a JSON response."""
    content = body.to_json() if isinstance(body, Document) else json.dumps(body).encode()
    return func.HttpResponse(content, status_code=status, mimetype="application/json", headers=dict(headers or {}))


def accepted(body: Document | Mapping[str, object], *, location: str, retry_after: int) -> func.HttpResponse:
    """Return 202: the work goes on; the caller asks again at ``location`` after ``retry_after`` seconds."""
    headers = {"Location": location, "Retry-After": str(retry_after)}
    return json_response(body, status=HTTPStatus.ACCEPTED, headers=headers)


def page_response(
    req: func.HttpRequest, path: str, value: Sequence[Mapping[str, object]], next_query: Mapping[str, str] | None
) -> func.HttpResponse:
    """Return one page of a list; ``next_query`` is the query of the next one."""
    link = {"nextLink": api_url(req, path, next_query)} if next_query else {}
    return json_response({"value": value, **link})


def rows_response(rows: Iterable[str], link: str | None, **also: str) -> func.HttpResponse:
    """Return one page of a list whose rows are JSON already."""
    members = {**also, **({"nextLink": link} if link else {})}
    rest = "".join(f",{json.dumps(name)}:{json.dumps(value)}" for name, value in members.items())
    return func.HttpResponse(f'{{"value":[{",".join(rows)}]{rest}}}'.encode(), mimetype="application/json")


def csv_response(table: bytes, name: str) -> func.HttpResponse:
    """Return a CSV file that a browser saves under a name."""
    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
    return func.HttpResponse(table, mimetype="text/csv", charset="utf-8", headers=headers)


def api_url(req: func.HttpRequest, path: str, query: Mapping[str, str] | None = None) -> str:
    """Return the absolute URL of a route of this app, as callers reach it: at ``PUBLIC_URL``, or as they did now.

    Raises:
        InvalidInput: It is too long to be asked for.
    """
    parts = urlsplit(req.url)
    base = os.environ.get("PUBLIC_URL", "").strip().rstrip("/") or f"{parts.scheme}://{parts.netloc}"
    url = f"{base}/api/{path}" + (f"?{urlencode(query)}" if query else "")
    if len(url.encode()) > LONGEST_URL:
        longest = max(query or {"path": path}, key=lambda name: len((query or {"path": path})[name]))
        problem = f"the next link would be longer than {LONGEST_URL} bytes"
        raise InvalidInput(problem, target=longest, remedy="Shorten the query.")
    return url
