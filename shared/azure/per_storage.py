"""What this process remembers of one storage account, for as long as its ``Storage`` lives."""

from collections.abc import Callable
from weakref import ref

from shared.azure.storage import Storage


class PerStorage[T]:
    """One value for each ``Storage``, known by its identity."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._values: dict[int, tuple[ref[Storage], T]] = {}

    def of(self, storage: Storage) -> T:
        """Return the value of ``storage``, made at first use."""
        known = self._values.get(id(storage))
        if known is not None and known[0]() is storage:
            return known[1]
        self._values = {key: value for key, value in self._values.items() if value[0]() is not None}
        value = self._make()
        self._values[id(storage)] = ref(storage), value
        return value
