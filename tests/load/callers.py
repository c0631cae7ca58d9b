"""Callers of all kinds, each in its own loop: probes, readers, flows, and the worst bodies that are allowed."""

import asyncio
import itertools
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http import HTTPStatus

import httpx

CONNECTION = "b4bbdbbd-cf2d-5c44-939b-be86bc688035"
RECORD = {
    "leafName": "Contract",
    "timeCreated": "2026-01-15T08:30:00Z",
    "timeModified": "2026-01-15T08:30:00Z",
    "createdBy": "user01",
    "modifiedBy": "user01",
}
MEGABYTE = 1024 * 1024
WORST = [
    ("harvests", b'{"source": "graph", "datasets": [' + b'"x",' * 3 * MEGABYTE + b'"x"]}'),
    ("harvests", b'{"source": "graph", "datasets": [' + b'"enpower-*",' * 150 + b'"x"]}'),
    ("opus/records/destroy", b'{"ids": [' + b"0," * 7 * MEGABYTE + b"0]}"),
    ("opus/records/destroy", b'{"ids": [' + b"0," * 999 + b"0]}"),
    ("opus/records/destroy", b'{"ids": [' + b"[]," * 5 * MEGABYTE + b"[]]}"),
    (f"opus/connections/{CONNECTION}/records", b'{"records": [' + b"{}," * 300_000 + b"{}]}"),
    (f"opus/connections/{CONNECTION}/records", b'{"records": [' + b"{}," * 4_998 + b"{}]}"),
    (f"opus/connections/{CONNECTION}/records", b'{"records": ["' + b"x" * 15 * MEGABYTE + b'"]}'),
    ("operations/x/resolve", b"[" * 100_000),
]


@dataclass(slots=True)
class Tally:
    """What was answered, how soon, and what should not have been."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    statuses: Counter[int] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def note(self, what: str, response: httpx.Response, seconds: float) -> None:
        """Count a response; 5xx is wrong, unless it is 503 and says when to come again."""
        self.seconds[what].append(seconds)
        self.statuses[response.status_code] += 1
        unavailable = response.status_code == HTTPStatus.SERVICE_UNAVAILABLE
        if response.is_server_error and not (unavailable and ("retry-after" in response.headers or what == "health")):
            self.wrong.append(f"{what}: {response.status_code} {response.text[:300]}")

    def percentile(self, what: str, share: float) -> float:
        """Return how many seconds that share of the responses took at most."""
        ordered = sorted(self.seconds[what])
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


type Call = Callable[[int], tuple[str, str, bytes | None]]


def calls(run_id: str, operation_id: str) -> Iterator[tuple[str, float, Call]]:
    """Yield who calls: a name, how many seconds between two calls, and what the nth one is."""
    yield "health", 0.1, lambda _: ("GET", "health", None)
    yield "health/details", 5, lambda _: ("GET", "health/details", None)
    yield "runs", 1, lambda _: ("GET", "runs?top=20", None)
    yield "runs top=200", 3, lambda _: ("GET", "runs?top=200", None)
    yield "run", 0.2, lambda _: ("GET", f"runs/{run_id}", None)
    yield "datasets", 2, lambda _: ("GET", "datasets", None)
    yield "operations", 1, lambda _: ("GET", "operations", None)
    yield "operation", 0.2, lambda _: ("GET", f"operations/{operation_id}", None)
    yield "due", 1, lambda _: ("GET", f"opus/connections/{CONNECTION}/records/due?top=100", None)
    yield "nonsense", 0.2, lambda n: ("GET", f"runs/{n}?x={n}", None)
    yield "submit", 1, _submit
    yield "harvest", 5, lambda _: ("POST", "harvests", b'{"source": "graph", "datasets": ["enpower-powerapps"]}')
    yield "worst bodies", 1, lambda n: ("POST", *WORST[n % len(WORST)])


def _submit(number: int) -> tuple[str, str, bytes | None]:
    records = [RECORD | {"rowKey": f"load-{number}-{index}"} for index in range(30)]
    request = httpx.Request("POST", "http://x", json={"conflictOption": "Overwrite", "records": records})
    return "POST", f"opus/connections/{CONNECTION}/records", request.read()


async def caller(client: httpx.AsyncClient, tally: Tally, what: str, pause: float, call: Call) -> None:
    """Call again and again, until cancelled."""
    for number in itertools.count():
        method, path, body = call(number)
        headers = {"Idempotency-Key": f"{what}-{number}"} if body else {}
        began = time.monotonic()
        response = await client.request(method, path, content=body, headers=headers)
        tally.note(what, response, time.monotonic() - began)
        await asyncio.sleep(pause)
