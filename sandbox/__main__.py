"""The commands of the sandbox: ``python -m sandbox avepoint|host|demo|start``."""

import sys
from argparse import ArgumentParser
from importlib import import_module
from typing import Final

MODULES: Final = {
    "avepoint": ("sandbox.avepoint.server", "the simulated AvePoint alone"),
    "host": ("sandbox.host.server", "the local Functions host alone"),
    "demo": ("sandbox.demo", "everything, through one harvest of every source and one Opus round"),
    "start": ("sandbox.start", "everything, until Ctrl-C"),
}


def main(argv: list[str]) -> int:
    """Run one command; only the module that it needs is imported.

    Returns:
        The exit status of the process.
    """
    parser = ArgumentParser(prog="python -m sandbox", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    parsers = {name: commands.add_parser(name, help=text, description=text) for name, (_, text) in MODULES.items()}
    chosen = next((argument for argument in argv if argument in MODULES), None)
    if chosen is None:
        parser.parse_args(argv)  # prints the help or the mistake, and exits
        return 2
    module = import_module(MODULES[chosen][0])
    module.add_arguments(parsers[chosen])
    return int(module.run(parser.parse_args(argv)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
