"""What one writes by hand: ``httpx.AsyncClient``, ``orjson`` and ``gzip``, one page after the other."""

import asyncio
import gzip
from urllib.parse import urljoin

import httpx
import orjson

from benchmarks.contenders.work import FIRST_PAGE, Work


class _Counting:
    """A file that forgets what is written to it, but not how much."""

    def __init__(self) -> None:
        self.bytes = 0

    def write(self, data: bytes) -> int:
        self.bytes += len(data)
        return len(data)

    def flush(self) -> None:
        """Nothing is kept back."""


def run(url: str, _: int) -> Work:
    """Harvest the whole list in one chain."""
    return asyncio.run(_harvest(f"{url}{FIRST_PAGE}"))


async def _harvest(following: str) -> Work:
    items, written = 0, _Counting()
    headers = {"Authorization": "Bearer a-token-of-the-benchmark"}
    async with httpx.AsyncClient(headers=headers, timeout=90) as client:
        with gzip.GzipFile(fileobj=written, mode="wb", compresslevel=6) as out:
            while following:
                answer = await client.get(following)
                answer.raise_for_status()
                page = orjson.loads(answer.content)
                for item in page["powerApps"]:
                    out.write(orjson.dumps(item) + b"\n")
                items += len(page["powerApps"])
                following = urljoin(following, page["nextLink"]) if page["nextLink"] else ""
    return Work(items, written.bytes)
