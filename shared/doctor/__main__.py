"""``python -m shared.doctor``: the checks of ``GET /api/health/details``, on a command line."""

import asyncio
import json
import logging
import sys
from argparse import ArgumentParser, Namespace
from contextlib import AsyncExitStack

from shared.doctor import Report, examine
from shared.doctor.repair import repair
from shared.doctor.report import report_lines
from shared.errors import GiveUp
from shared.services import Services, open_services
from shared.settings import add_settings_option, load_settings, say, use_local_settings

CANNOT_BEGIN = 2
"""The exit status when there is nothing to check."""


def main(argv: list[str]) -> int:
    """Examine the app whose settings are in the environment.

    Returns:
        The exit status: 0 when nothing is broken (there may be warnings), 1 when something is, 2 when it cannot begin.
    """
    args = _arguments(argv)
    try:
        use_local_settings(args.settings)
    except GiveUp as error:
        sys.stderr.write(f"{error}\n")
        return CANNOT_BEGIN
    logging.basicConfig(level=logging.CRITICAL)  # the report says what there is to say
    if args.repair:
        return repair(apply=args.apply)
    report = asyncio.run(_examined())
    say(json.dumps(report.model_dump(), indent=2) if args.json else "\n".join(report_lines(report)))
    return 0 if report.status == "ok" else 1


def _arguments(argv: list[str]) -> Namespace:
    parser = ArgumentParser(prog="python -m shared.doctor", description="Check everything the app depends on.")
    parser.add_argument("--json", action="store_true", help="print what GET /api/health/details answers")
    parser.add_argument("--repair", action="store_true", help="say what does not fit together after a restore")
    parser.add_argument("--apply", action="store_true", help="with --repair: set it right")
    add_settings_option(parser)
    args = parser.parse_args(argv)
    if args.apply and not args.repair:
        parser.error("--apply goes with --repair")
    if args.json and args.repair:
        parser.error("--json does not go with --repair, which says line by line what it does")
    return args


async def _examined() -> Report:
    async with AsyncExitStack() as opened:

        async def opening() -> Services:
            services = await open_services(load_settings())
            opened.push_async_callback(services.close)
            return services

        return Report.of(await examine(opening, look=True))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
