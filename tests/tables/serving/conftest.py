from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

from shared.services import Services
from tests.tables.nights import Nights

type Reading = Callable[[Nights], Services]


@pytest.fixture
async def reading() -> AsyncIterator[Reading]:
    """Services that read the tables of a dataset, until the test ends."""
    async with AsyncExitStack() as opened:
        yield lambda nights: replace(nights.services(), opened=opened)
