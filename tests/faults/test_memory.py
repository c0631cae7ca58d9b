"""The storage in memory keeps what Azure Storage promises: the tests of the real one, once more."""

import pytest

from shared.storage import Storage
from tests.faults.memory import MemoryStorage
from tests.faults.world import Clock
from tests.shared.test_storage import (
    TestConditionalWrites,
    test_a_blob_is_there_once_it_is_committed,
    test_listings,
    test_what_is_not_there,
)

__all__ = [
    "TestConditionalWrites",
    "test_a_blob_is_there_once_it_is_committed",
    "test_listings",
    "test_what_is_not_there",
]


@pytest.fixture
def storage() -> Storage:
    return MemoryStorage(Clock())
