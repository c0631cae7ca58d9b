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

from benchmarks.contenders.work import PAGE_SIZE, Work, base_url
from benchmarks.usage import stolen_seconds, used_by

NAMES = ("limit", "harvest", "handwritten", "opus")


def measured(contender: Callable[[str, int], Work], url: str, at_once: int) -> dict[str, float]:
    """Run a contender in this process, and say what that took, as ``benchmarks.results.Took`` reads it.

    It runs on one page first: what is done once in the life of a process is not measured.
    """
    contender(base_url(url.rsplit("/", 2)[0], items=PAGE_SIZE, milliseconds=0), 1)
    stolen, before, began = stolen_seconds(), used_by(os.getpid()), time.perf_counter()
    done = contender(url, at_once)
    wall, after, stolen = time.perf_counter() - began, used_by(os.getpid()), stolen_seconds() - stolen
    took = {"wall": wall, "cpu": after.cpu - before.cpu, "stolen": stolen, "peakBytes": after.peak_bytes}
    return {"items": done.items, "bytes": done.bytes, **took}


if __name__ == "__main__":
    parser = ArgumentParser(prog="python -m benchmarks.contenders", description=__doc__)
    parser.add_argument("name", choices=NAMES)
    parser.add_argument("--url", required=True, help="as benchmarks.server has it")
    parser.add_argument("--at-once", type=int, default=1, help="chains of pages, or calls to Opus, at once")
    args = parser.parse_args()
    contender = import_module(f"benchmarks.contenders.{args.name}").run  # what the others import is not measured
    sys.stdout.write(json.dumps(measured(contender, args.url, args.at_once)))
