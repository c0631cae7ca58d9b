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
