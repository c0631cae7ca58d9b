"""``python -m benchmarks`` measures everything, prints it, keeps it, and writes docs/benchmarks.md and capacity.md.

The exit status says whether everything could be measured, not whether every goal was met: that is for a reader to
judge, who knows how quiet the machine was.
"""

import asyncio
import sys
from argparse import ArgumentParser
from pathlib import Path

from benchmarks import capacity, report
from benchmarks.results import KEPT, Results
from benchmarks.scenarios import FULL, QUICK
from benchmarks.suite import EVERYTHING, run

DOCS = Path(__file__).parents[1] / "docs"
PAGES = {"benchmarks.md": report.page, "capacity.md": capacity.page}


def main(argv: list[str]) -> None:
    """Run one command."""
    parser = ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="less of everything: shows that it works, no more")
    parser.add_argument(
        "--again",
        nargs="+",
        choices=sorted(EVERYTHING),
        metavar="NAME",
        help="measure these alone, those that are compared together, and keep the rest",
    )
    parser.add_argument("--write-docs", action="store_true", help="write the pages again, and measure nothing")
    parser.add_argument("--results", type=Path, default=KEPT, help="where the results are kept")
    parser.add_argument("--docs", type=Path, default=DOCS, help="where the pages are")
    args = parser.parse_args(argv)
    if args.quick and args.results == KEPT:
        parser.error("a quick run does not replace a whole one: name another file with --results and --docs")
    if not args.write_docs:
        sizes, kept, again = QUICK if args.quick else FULL, None, EVERYTHING
        if args.again:
            kept, again = Results.from_json(args.results.read_bytes()), frozenset(args.again)
        results = asyncio.run(run(sizes, _say, kept=kept, again=again))
        args.results.write_text(results.model_dump_json(by_alias=True, indent=1) + "\n")
    results = Results.from_json(args.results.read_bytes())
    for name, page in PAGES.items():
        (args.docs / name).write_text(page(results))
    print(report.page(results))


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
