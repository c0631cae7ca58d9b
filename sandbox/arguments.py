"""Values of options, refused in a sentence where they cannot be."""

from argparse import ArgumentTypeError
from typing import Final

LAST_PORT: Final = 65_535
LONGEST: Final = 1e9


def count(text: str) -> int:
    """Read a whole number that is not below 0."""
    if not text.isdecimal():
        raise ArgumentTypeError(f"{text!r} is not a whole number that is 0 or more")
    return int(text)


def port(text: str) -> int:
    """Read the number of a TCP port; 0 takes a free one."""
    number = count(text)
    if number > LAST_PORT:
        raise ArgumentTypeError(f"a port is 0 to {LAST_PORT}, not {number}")
    return number


def at_least_one(text: str) -> int:
    """Read a whole number that is not below 1."""
    if not (number := count(text)):
        raise ArgumentTypeError("it has to be 1 or more")
    return number


def duration(text: str) -> float:
    """Read a number above 0."""
    try:
        number = float(text)
    except ValueError:
        number = 0
    if not 0 < number < LONGEST:
        raise ArgumentTypeError(f"{text!r} is not a number above 0")
    return number
