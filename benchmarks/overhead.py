"""What the token, the budget and the checkpoint add to 1,000 requests."""

import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from statistics import median
from typing import Final

from benchmarks.contenders.work import base_url
from benchmarks.data import RESOURCE
from benchmarks.inmemory import ForgetfulStorage, app, budget, settings_for
from benchmarks.results import Overhead
from shared.avepoint.request import Request, Response
from shared.harvest.runs.starting import start_requested
from shared.harvest.slices.worker import work

_SCOPE: Final = "enpower.data.read.all"
_PER: Final = 1000
_PARTS: Final = 10
"""Pages of 1,000 items of 3 KB fill that many parts of 64 MiB with 1,000 requests, about."""


async def overheads(origin: str, *, requests: int, rounds: int) -> tuple[Overhead, ...]:
    """Measure each with so many requests, and say what it is for 1,000."""
    url = base_url(origin, items=1, milliseconds=0)
    measured = {
        "a token from the cache": _tokens,
        "the request budget": _budget,
        "all of the transport but HTTP": _sent,
        "all of a slice but HTTP": _sliced,
    }
    each = [await _measured(name, carry_out, url, requests, rounds) for name, carry_out in measured.items()]
    return (*each, await _parts(url, requests, rounds))


async def _measured(
    name: str, carry_out: Callable[[str, ForgetfulStorage, int], Awaitable[float]], url: str, requests: int, rounds: int
) -> Overhead:
    """Return the median over the rounds; ``carry_out`` gives the seconds of CPU that so many requests took."""
    storages = [ForgetfulStorage() for _ in range(rounds)]
    seconds = [await carry_out(url, storage, requests) for storage in storages]
    counted = storages[0].transactions
    return _per_thousand(name, median(seconds), counted, requests)


def _per_thousand(name: str, seconds: float, transactions: Mapping[str, int], requests: int) -> Overhead:
    share = _PER / requests
    return Overhead(
        name=name,
        cpu_ms=seconds * 1000 * share,
        reads=round((transactions["read"] + transactions["list"]) * share),
        writes=round((transactions["write"] + transactions["enqueue"]) * share),
    )


async def _tokens(url: str, storage: ForgetfulStorage, requests: int) -> float:
    async with app(settings_for(url), storage) as services:
        await services.tokens.get("avepoint", _SCOPE)
        began = time.process_time()
        for _ in range(requests):
            await services.tokens.get("avepoint", _SCOPE)
        return time.process_time() - began


async def _budget(url: str, storage: ForgetfulStorage, requests: int) -> float:
    spending = budget(settings_for(url), storage)
    began = time.process_time()
    for _ in range(requests):
        await spending.consume("avepoint", url, "harvest")
    return time.process_time() - began


async def _sent(url: str, storage: ForgetfulStorage, requests: int) -> float:
    request = Request("GET", f"{url}/smp/powerplatform/powerapps", _SCOPE, "avepoint")
    async with app(settings_for(url), storage, exchange=_Pages(requests).send) as services:
        await services.tokens.get("avepoint", _SCOPE)
        began = time.process_time()
        for _ in range(requests):
            await services.transport.send(request)
        return time.process_time() - began


async def _sliced(url: str, storage: ForgetfulStorage, requests: int, **changes: str) -> float:
    """Return a harvest of so many pages of one item each."""
    async with app(settings_for(url, **changes), storage, exchange=_Pages(requests).send) as services:
        await services.tokens.get("avepoint", _SCOPE)
        began = time.process_time()
        run = await start_requested(services, "graph", [RESOURCE])
        ended = [await work(services, address) for address in run.addresses()]
        took = time.process_time() - began
    if ended != ["finished"]:
        raise AssertionError(f"the harvest did not end: {ended}")
    return took


async def _parts(url: str, requests: int, rounds: int) -> Overhead:
    """Return what a part with its checkpoint adds, by a harvest that ends one with every page."""
    plain = [ForgetfulStorage() for _ in range(rounds)]
    many = [ForgetfulStorage() for _ in range(rounds)]
    pages = min(requests, 100)
    seconds = [
        await _sliced(url, many_parts, pages, HARVEST_PART_SECONDS="0.000001") - await _sliced(url, one_part, pages)
        for one_part, many_parts in zip(plain, many, strict=True)
    ]
    added = Counter(many[0].transactions)
    added.subtract(plain[0].transactions)
    return _per_thousand(f"{_PARTS} parts with their checkpoints", median(seconds), added, pages * _PER // _PARTS)


class _Pages:
    """So many pages of one item each, without a server."""

    def __init__(self, pages: int) -> None:
        self._pages = self._numbers(pages)

    @staticmethod
    def _numbers(pages: int) -> Iterator[bytes]:
        for number in range(1, pages + 1):
            link = "" if number == pages else f"?Page={number}"
            yield b'{"powerApps":[{"id":"%d"}],"totalCount":%d,"nextLink":"%s"}' % (number, pages, link.encode())

    async def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Response:
        """Return the next page, whatever is asked."""
        del method, url, headers, body
        return Response(200, {}, next(self._pages))
