"""What all contenders share: the list they are given, and what they say they did."""

from dataclasses import dataclass
from typing import Final

PAGE_SIZE: Final = 1000
FIRST_PAGE: Final = f"/smp/powerplatform/powerapps?top={PAGE_SIZE}"
"""Below the base URL."""


@dataclass(frozen=True, slots=True)
class Work:
    """What a contender did: how many items, and how many bytes of gzip."""

    items: int
    bytes: int


def base_url(origin: str, *, items: int, milliseconds: int) -> str:
    """Return the base URL of an AvePoint with so many items and that latency."""
    return f"{origin}/{items}/{milliseconds}"


def items_of(url: str) -> int:
    """How many items the list behind a base URL holds."""
    return int(url.split("/")[-2])
