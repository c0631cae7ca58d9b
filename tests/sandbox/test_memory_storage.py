"""The storage in memory keeps what Azure Storage promises: the tests of the real one, once more."""

import pytest

from sandbox.memory_storage import MemoryStorage
from shared.azure.storage import Storage
from tests.faults.world import Clock
from tests.shared.azure.test_storage import (
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
