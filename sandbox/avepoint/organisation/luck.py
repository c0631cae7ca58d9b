"""Numbers that look random and are always the same."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b


def words(text: str) -> tuple[str, ...]:
    """Return the words of a text."""
    return tuple(text.split())


@dataclass(frozen=True, slots=True)
class Luck:
    """Draws for one thing, by name: the same name always draws the same number."""

    key: str

    def share(self, name: str) -> float:
        """Return a number from 0 to below 1."""
        return int.from_bytes(blake2b(f"{self.key}/{name}".encode(), digest_size=6).digest()) / 2**48

    def below(self, name: str, end: int) -> int:
        """Return a whole number from 0 to below ``end``."""
        return int(self.share(name) * end)

    def tail(self, name: str, end: int, *, steep: float = 3) -> int:
        """Return a whole number from 0 to below ``end``, most of them small and a few large."""
        return int(self.share(name) ** steep * end)

    def happens(self, name: str, chance: float) -> bool:
        """Return whether something happens that does so with this chance."""
        return self.share(name) < chance

    def pick[T](self, name: str, weights: Mapping[T, float]) -> T:
        """Return one of the keys, each as often as its weight says."""
        left = self.share(name) * sum(weights.values())
        for choice, weight in weights.items():
            left -= weight
            if left < 0:
                return choice
        return next(reversed(list(weights)))

    def one_of[T](self, name: str, choices: tuple[T, ...]) -> T:
        """Return one of the choices, each as often as the others."""
        return choices[self.below(name, len(choices))]
