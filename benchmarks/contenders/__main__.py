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

from benchmarks.contenders.work import Work
from benchmarks.usage import used_by

NAMES = ("limit", "harvest", "handwritten", "opus")


def measured(contender: Callable[[str, int], Work], url: str, at_once: int) -> dict[str, float]:
    """Run a contender in this process, and say what that took, as ``benchmarks.results.Took`` reads it."""
    before, began = used_by(os.getpid()), time.perf_counter()
    done = contender(url, at_once)
    wall, after = time.perf_counter() - began, used_by(os.getpid())
    took = {"wall": wall, "cpu": after.cpu - before.cpu, "peakBytes": after.peak_bytes}
    return {"items": done.items, "bytes": done.bytes, **took}


if __name__ == "__main__":
    parser = ArgumentParser(prog="python -m benchmarks.contenders", description=__doc__)
    parser.add_argument("name", choices=NAMES)
    parser.add_argument("--url", required=True, help="as benchmarks.server has it")
    parser.add_argument("--at-once", type=int, default=1, help="chains of pages, or calls to Opus, at once")
    args = parser.parse_args()
    contender = import_module(f"benchmarks.contenders.{args.name}").run  # what the others import is not measured
    sys.stdout.write(json.dumps(measured(contender, args.url, args.at_once)))
