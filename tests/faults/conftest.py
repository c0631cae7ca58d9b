"""One simulated AvePoint without sockets, for all the worlds of these tests."""

import logging
from collections.abc import Iterator

import pytest

from tests.faults.world import Simulation


@pytest.fixture(scope="session")
def simulation() -> Simulation:
    return Simulation.create()


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """What a thousand deaths log helps nobody."""
    logger = logging.getLogger("shared")
    logger.setLevel(logging.CRITICAL)
    yield
    logger.setLevel(logging.NOTSET)
