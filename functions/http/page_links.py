"""Next links of lists that are read from tables: one signed token holds the whole query, and stands alone."""

from datetime import timedelta
from typing import Final

import azure.functions as func

from functions.http.queries import QUERIES, TOKEN
from functions.http.query import Query
from functions.http.requests import text
from functions.http.responses import api_url
from shared.azure.signing_key import signing_key
from shared.credentials.signing import BadStatement, Signer
from shared.document import Document
from shared.errors import InvalidInput
from shared.services import Services
from shared.tables.queries.page_tokens import issue_page_token, read_page_token

_LIFE: Final = timedelta(days=3_650)
"""A link ends with the version of the table that it is about, long before."""


async def query_of_link[Q: Document](req: func.HttpRequest, app: Services, function: str, model: type[Q]) -> Q | None:
    """Return the query that a next link carries; ``None`` where a request is not one.

    Raises:
        InvalidInput: It is not a link of this list, was changed, or has something beside its token.
    """
    token = text(req, TOKEN)
    if token is None:
        return None
    beside = [
        name for name in Query.of(req, [one.name for one in QUERIES[function] or ()]).encoded if name != TOKEN.name
    ]
    if beside:
        raise InvalidInput(f"{beside[0]} cannot be changed in a next link", target=beside[0], remedy=_AGAIN)
    try:
        query = read_page_token(token, model, await _signer(app, function), now=app.clock())
    except BadStatement as error:
        raise InvalidInput(f"token: {error}", target=TOKEN.name, remedy=_AGAIN) from None
    if any(getattr(query, name, value) != value for name, value in req.route_params.items()):
        raise InvalidInput("token: it belongs to another dataset", target=TOKEN.name, remedy=_AGAIN)
    return query


async def next_link(
    req: func.HttpRequest, app: Services, function: str, path: str, query: Document | None
) -> str | None:
    """Return the link to the next page, if there is one."""
    if query is None:
        return None
    token = issue_page_token(query, await _signer(app, function), expires=app.clock() + _LIFE)
    return api_url(req, path, {TOKEN.name: token})


async def _signer(app: Services, function: str) -> Signer:
    return Signer.for_purpose(f"pages of {function}", key_material=await signing_key(app.storage))


_AGAIN = "Begin the list again without the token."
