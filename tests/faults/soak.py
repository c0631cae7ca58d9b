"""``python -m tests.faults.soak --kills 300``: ends with status 1 when a promise is broken."""

import argparse
import asyncio
import logging
import sys
import time
from collections.abc import Sequence
from functools import partial

from tests.faults.soaking import every_point, sigkills, turmoil
from tests.opus.soak import soak_operations


async def _all(kills: int, seed: int) -> None:
    for part in (every_point, partial(turmoil, max(1, kills // 10)), partial(sigkills, kills, seed)):
        began = time.monotonic()
        print(f"{await part()} ({time.monotonic() - began:.0f} s)", flush=True)  # noqa: T201 - a command prints


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults.soak", description="Kill processes until something breaks."
    )
    parser.add_argument("--kills", type=int, default=300, help="how many processes to kill (default: 300)")
    parser.add_argument("--seed", type=int, default=0, help="other misfortunes (default: 0)")
    parser.add_argument("--operations", type=int, default=2000, help="how many Opus operations (default: 2000)")
    asked = parser.parse_args(arguments)
    logging.disable()
    try:
        began = time.monotonic()
        print(f"{soak_operations(asked.operations, asked.seed)} ({time.monotonic() - began:.0f} s)", flush=True)  # noqa: T201 - a command prints
        asyncio.run(_all(asked.kills, asked.seed))
    except AssertionError as error:
        print(f"BROKEN: {error}", file=sys.stderr)  # noqa: T201 - a command prints
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
