"""Answers of the app and of the simulated AvePoint, or an error that says which call was refused."""

from collections.abc import Awaitable

import httpx


class DemoError(Exception):
    """Something in the demo was not as it should be."""


async def ok(answering: Awaitable[httpx.Response]) -> httpx.Response:
    """Return an answer that is none of an error.

    Raises:
        DemoError: it is one.
    """
    answer = await answering
    if answer.is_error:
        request = answer.request
        raise DemoError(f"{request.method} {request.url.path} answered {answer.status_code}: {answer.text}")
    return answer
