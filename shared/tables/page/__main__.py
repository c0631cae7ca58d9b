"""``python -m shared.tables.page``: a copy of the status page as one file, to be kept or shared."""

import asyncio
import logging
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path

from shared.errors import AppError
from shared.services import open_services
from shared.settings import add_settings_option, load_settings, use_local_settings
from shared.tables.page.copying import copy_of_page

NOT_WRITTEN = 2
"""The exit status when the file could not be made."""


def main(argv: Sequence[str]) -> int:
    """Write the file; return 0, or 2 where it cannot be made."""
    args = _arguments(argv)
    logging.basicConfig(level=logging.CRITICAL)  # the error says what there is to say
    try:
        use_local_settings(args.settings)
        asyncio.run(_write(args.out))
    except AppError as error:
        sys.stderr.write(f"{error.text}\n")
        return NOT_WRITTEN
    except OSError as error:
        sys.stderr.write(f"{args.out} cannot be written: {error.strerror}\n")
        return NOT_WRITTEN
    sys.stdout.write(f"{args.out}\n")
    return 0


def _arguments(argv: Sequence[str]) -> Namespace:
    parser = ArgumentParser(
        prog="python -m shared.tables.page",
        description="Write the status page, with what it shows now, as one HTML file that needs no network.",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="where to write it")
    add_settings_option(parser)
    return parser.parse_args(argv)


async def _write(out: Path) -> None:
    services = await open_services(load_settings())
    try:
        html = await copy_of_page(services)
    finally:
        await services.close()
    await asyncio.to_thread(out.write_text, html, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
