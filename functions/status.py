"""The status page: files without data, which ask the routes of the app with the key or sign-in of the reader."""

from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

import azure.functions as func

from functions.http.endpoint import endpoint
from functions.http.responses import api_url
from shared.closest import closest_hint
from shared.errors import NotFound
from shared.tables.page.assets import PAGE_FILES, page_file

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}

bp = func.Blueprint()


@bp.route("status", methods=["GET", "HEAD"], auth_level=func.AuthLevel.ANONYMOUS)
@endpoint
async def status_page(req: func.HttpRequest) -> func.HttpResponse:
    """Give the page."""
    if urlsplit(req.url).path.endswith("/"):  # the names of its files are relative to the address without the slash
        return func.HttpResponse(
            status_code=HTTPStatus.PERMANENT_REDIRECT, headers={"Location": api_url(req, "status")}
        )
    return _file("index.html", "text/html")


@bp.route("status/{file}", methods=["GET", "HEAD"], auth_level=func.AuthLevel.ANONYMOUS)
@endpoint
async def status_file(req: func.HttpRequest) -> func.HttpResponse:
    """Give a file of the page."""
    name = req.route_params["file"]
    if name not in PAGE_FILES:
        raise NotFound(f"the page has no file {name[:100]!r}{closest_hint(name, PAGE_FILES)}")
    return _file(name, PAGE_FILES[name])


def _file(name: str, media_type: str) -> func.HttpResponse:
    return func.HttpResponse(page_file(name), mimetype=media_type, charset="utf-8", headers=_HEADERS)
