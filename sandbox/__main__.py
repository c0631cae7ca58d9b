"""The commands of the sandbox: ``python -m sandbox avepoint|host|demo|local|start``."""

import os
import signal
import sys
from argparse import ArgumentParser
from collections.abc import MutableMapping
from importlib import import_module
from typing import Final

MODULES: Final = {
    "avepoint": ("sandbox.avepoint.server", "the simulated AvePoint alone"),
    "host": ("sandbox.host.server", "the local Functions host alone"),
    "demo": ("sandbox.demo.command", "everything, through two nights of harvests and one Opus round"),
    "local": ("sandbox.local", "the app on this machine, against your own AvePoint, until Ctrl-C"),
    "start": ("sandbox.start", "everything, until Ctrl-C"),
}

LOOPBACK: Final = ("127.0.0.1", "localhost")


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


def spare_loopback(environ: MutableMapping[str, str]) -> None:
    """Let no proxy stand between the parts, which all listen on this machine."""
    given = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    if given != "*":
        names = [*filter(None, given.split(",")), *LOOPBACK]
        environ["no_proxy"] = environ["NO_PROXY"] = ",".join(dict.fromkeys(names))


if __name__ == "__main__":
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]  # a locale without every character
    spare_loopback(os.environ)
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:  # before the command could take over the signal
        sys.stderr.write("Interrupted: nothing was started.\n")
        sys.exit(128 + signal.SIGINT)
