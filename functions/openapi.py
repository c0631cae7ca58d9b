"""The description of this API for programs."""

import json
from functools import cache
from pathlib import Path

import azure.functions as func

from functions.http.endpoint import endpoint
from functions.http.responses import api_url, json_response

bp = func.Blueprint()


@bp.route("openapi.json", methods=["GET"])
@endpoint
async def get_openapi(req: func.HttpRequest) -> func.HttpResponse:
    """Describe every route, with the address under which the caller reached this one."""
    server = api_url(req, "").rstrip("/")
    return json_response({**_document(), "servers": [{"url": server}]})


@cache
def _document() -> dict[str, object]:
    """Return the document that ``tools.openapi`` wrote."""
    document: dict[str, object] = json.loads(Path(__file__).with_name("openapi.json").read_bytes())
    return document
