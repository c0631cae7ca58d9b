"""``python -m shared.doctor``: the checks of ``GET /api/health/details``, on a command line."""

import asyncio
import json
import logging
import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from textwrap import indent

from pydantic import BaseModel, ValidationError

from shared.doctor import Check, Report, examine
from shared.services import Services, open_services
from shared.settings import load_settings

UNUSABLE = 2
"""The exit status when there is nothing to check."""


class _LocalSettings(BaseModel):
    """``local.settings.json``, as Azure Functions Core Tools have it."""

    Values: dict[str, str]


def main(argv: list[str]) -> int:
    """Examine the app whose settings are in the environment.

    Returns:
        The exit status: 0 when nothing is broken (there may be warnings), 1 when something is, 2 when it cannot begin.
    """
    args = _arguments(argv)
    try:
        os.environ |= _LocalSettings.model_validate_json(args.settings.read_bytes()).Values if args.settings else {}
    except (OSError, ValidationError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it has no Values, or they are not all text"
        sys.stderr.write(f"{args.settings} cannot be used: {reason}\n")
        return UNUSABLE
    logging.basicConfig(level=logging.CRITICAL)  # the report says what there is to say
    report = asyncio.run(_examined())
    sys.stdout.write(json.dumps(report.model_dump(), indent=2) if args.json else "\n".join(_lines(report)))
    sys.stdout.write("\n")
    return 0 if report.status == "ok" else 1


def _arguments(argv: list[str]) -> Namespace:
    parser = ArgumentParser(prog="python -m shared.doctor", description="Check everything the app depends on.")
    parser.add_argument("--json", action="store_true", help="print what GET /api/health/details answers")
    parser.add_argument(
        "--settings", type=Path, metavar="FILE", help="a local.settings.json; its values go over the environment"
    )
    return parser.parse_args(argv)


async def _examined() -> Report:
    async with AsyncExitStack() as opened:

        async def opening() -> Services:
            services = await open_services(load_settings())
            opened.push_async_callback(services.close)
            return services

        return Report.of(await examine(opening, look=True))


def _lines(report: Report) -> Iterator[str]:
    width = max(len(check.name) for check in report.checks)
    for check in report.checks:
        yield from _line(check, width)
    yield f"{report.status}: avepoint-functions {report.version}"


def _line(check: Check, width: int) -> Iterator[str]:
    yield f"{check.status:<7}  {check.name:<{width}}  {check.message}"
    if check.remedy:
        yield indent(check.remedy, " " * 9 + "-> ")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
