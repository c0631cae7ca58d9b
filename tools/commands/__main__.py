"""``./avepoint COMMAND``: runs one command; only the modules that it needs are imported."""

import os
import signal
import sys
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path

from shared.closest import closest_hint
from shared.errors import AppError
from shared.settings.command import end_unread
from shared.settings.local import use_local_settings
from shared.version import VERSION
from tools.commands.listing import COMMANDS, PROGRAM, Command
from tools.commands.speaking import spoken

WRONG = 2
"""The exit status when nothing could be begun."""


def main(argv: Sequence[str]) -> int:
    """Run one command; whatever its input, terminal and locale are, nobody sees a traceback.

    Returns:
        Its exit status; that of a signal where somebody pressed Ctrl-C.

    Raises:
        SystemExit: The reader has gone away, as ``| head`` has.
    """
    try:
        with spoken(os.environ, as_it_is="--json" in argv):
            status = _run(argv)
            sys.stdout.flush()
    except BrokenPipeError:
        end_unread()
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return status


def _run(argv: Sequence[str]) -> int:
    match argv:
        case [] | ["-h" | "--help" | "help"]:
            print("\n".join(_overview()))
            return 0 if argv else WRONG
        case ["--version"]:
            print(f"avepoint-functions {VERSION}")
            return 0
        case [name, *_] if name not in COMMANDS:
            sys.stderr.write(f"there is no command {name!r}{closest_hint(name, COMMANDS)}. {PROGRAM} lists them.\n")
            return WRONG
        case [name, "-h" | "--help"]:
            return _help(name, COMMANDS[name])
        case [name, *options]:
            return _command(name, COMMANDS[name], options)
    raise AssertionError(argv)


def _overview() -> Iterator[str]:
    yield f"usage: {PROGRAM} COMMAND [options]\n"
    width = max(map(len, COMMANDS))
    yield from (f"  {name:<{width}}  {command.about}" for name, command in COMMANDS.items())
    asking = ", ".join(name for name, command in COMMANDS.items() if command.route)
    yield f"\n{PROGRAM} COMMAND --help explains a command; --version shows the version."
    yield "App settings come from the environment, or from a file: --settings FILE."
    yield "With a function key in the variable APP_KEY, or an access token in APP_TOKEN,"
    yield f"some ask a deployed app: --url https://APP.azurewebsites.net\n({asking})."


def _help(name: str, command: Command) -> int:
    with suppress(SystemExit):
        _command(name, command, ["--help"])
    print("\n".join(_epilog(command)))
    return 0


def _epilog(command: Command) -> Iterator[str]:
    if command.module and command.has_settings:
        yield "\nApp settings come from the environment, and over it from --settings FILE."
    if command.module and command.route:
        yield "--url https://APP.azurewebsites.net asks a deployed app; the variable APP_KEY"
        yield "holds one of its function keys or, if its AUTH_MODE is entra, the variable"
        yield "APP_TOKEN an access token: see docs/access.md."
    meanings = enumerate(command.exits)
    yield "\nexit status:"
    yield from (f"  {status}  {meaning}" for status, meaning in meanings if meaning)
    yield f"\nexample: {PROGRAM} {command.example}"


def _command(name: str, command: Command, argv: Sequence[str]) -> int:
    try:
        if not command.module or (command.route and any(one.partition("=")[0] == "--url" for one in argv)):
            remote = import_module("tools.commands.remote")
            return int(remote.ask_app(name, argv, os.environ))
        if command.has_settings:
            argv = _settled(name, argv)
        return int(import_module(command.module).main(list(argv)) or 0)
    except AppError as error:
        sys.stderr.write(f"{error.text}\n")
        return WRONG


def _settled(name: str, argv: Sequence[str]) -> list[str]:
    """Take ``--settings FILE`` out, which goes for every command, and use it."""
    parser = ArgumentParser(prog=f"{PROGRAM} {name}", add_help=False, allow_abbrev=False)
    parser.add_argument("--settings", type=Path)
    args, others = parser.parse_known_args(argv)
    use_local_settings(args.settings)
    return others


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
