"""What the writers of files make of a command line: help, or a mistake, and nothing is written."""

import sys
from argparse import ArgumentParser


def no_options(about: str | None) -> None:
    """End the process with what it is about where it was asked so, and with a mistake where an option was given."""
    module = sys.modules["__main__"].__spec__
    name = module.name.removesuffix(".__main__") if module else sys.argv[0]
    ArgumentParser(prog=f"python -m {name}", description=(about or "").replace("``", "")).parse_args()
