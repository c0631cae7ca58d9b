"""The contenders, each in a process of its own: they page through a list and write gzip NDJSON, or submit records.

``python -m benchmarks.contenders NAME --url BASE_URL`` runs one and prints what it took, as JSON.
"""

import json
import os
import sys
import time
from argparse import ArgumentParser
from collections.abc import Callable
from importlib import import_module
from typing import Protocol, cast

from benchmarks.contenders.work import PAGE_SIZE, Work, base_url
from benchmarks.usage import stolen_seconds, used_by

NAMES = ("limit", "harvest", "handwritten", "opus", "table", "changes", "conversion", "polars", "duckdb")


class Contender(Protocol):
    """What a module of a contender has.

    Some have ``prepare`` as well, whose work is not measured, and ``clean``; both take the URL.
    """

    run: Callable[[str, int], Work]


def measured(contender: Contender, url: str, at_once: int) -> dict[str, float]:
    """Run a contender in this process, and say what that took, as ``benchmarks.results.Took`` reads it.

    It runs on one page first: what is done once in the life of a process is not measured.
    """
    nothing: Callable[[str], None] = lambda _: None  # noqa: E731 - one that does nothing
    prepare: Callable[[str], None] = getattr(contender, "prepare", nothing)
    clean: Callable[[str], None] = getattr(contender, "clean", nothing)
    page = base_url(url.rsplit("/", 2)[0], items=PAGE_SIZE, milliseconds=0)
    if page != url:
        prepare(page)
        contender.run(page, 1)
        clean(page)
    prepare(url)
    stolen, before, began = stolen_seconds(), used_by(os.getpid()), time.perf_counter()
    done = contender.run(url, at_once)
    wall, after, stolen = time.perf_counter() - began, used_by(os.getpid()), stolen_seconds() - stolen
    clean(url)
    took = {"wall": wall, "cpu": after.cpu - before.cpu, "stolen": stolen, "peakBytes": after.peak_bytes}
    return {"items": done.items, "bytes": done.bytes, **took}


if __name__ == "__main__":
    parser = ArgumentParser(prog="python -m benchmarks.contenders", description=__doc__)
    parser.add_argument("name", choices=NAMES)
    parser.add_argument("--url", required=True, help="as benchmarks.server has it")
    parser.add_argument("--at-once", type=int, default=1, help="chains of pages, or calls to Opus, at once")
    args = parser.parse_args()
    module = import_module(f"benchmarks.contenders.{args.name}")  # what the others import is not measured
    sys.stdout.write(json.dumps(measured(cast("Contender", module), args.url, args.at_once)))
