"""What may be called removed or added: nothing without the right to say so (promise 10). Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from shared.harvest.snapshots.manifest import Verdict

type ParentValues = tuple[str | None, ...]
"""The values of a parent as its columns hold them, in the order of the catalogue."""

type ParentOutcome = Literal["complete", "unverified", "gone", "failed"]
"""How it went with a parent that was asked: its own chain is complete, or nothing proves it; or it is not there."""


@dataclass(frozen=True, slots=True)
class Rights:
    """What two snapshots have the right to say of each other.

    Attributes:
        verdict: On the newer one.
        tenants_before: The tenants that were asked for the older one; ``None`` for all.
        asked: How it went with each parent of the newer one; ``None`` for a dataset without parents.
        left_out: Parents were left out, or failed: one that was not asked may still be there.
        odd: Items of the newer one are not as documented: one that seems to be gone may be among them.
        known: The parents that were ever asked before; ``None`` where that is not known.
    """

    verdict: Verdict
    tenants_before: frozenset[str] | None = None
    tenants_now: frozenset[str] | None = None
    asked: Mapping[ParentValues, ParentOutcome] | None = None
    left_out: bool = False
    odd: bool = False
    known: frozenset[ParentValues] | None = field(default=None)

    def removal(self, *, tenant: str | None, parent: ParentValues) -> bool | None:
        """Return whether the removal of a row is sure, or ``None`` where nothing may be said of it."""
        if not (_is_of(tenant, self.tenants_before) and _is_of(tenant, self.tenants_now)):
            return None
        if self.asked is None:
            return self._is_whole
        match self.asked.get(parent):
            case "gone":
                return True
            case "complete" | "unverified" as outcome:
                return outcome == "complete" and not self.odd
            case "failed":
                return None
            case None:
                return None if self.left_out else self._is_whole

    @property
    def _is_whole(self) -> bool:
        return self.verdict == "complete" and not self.odd

    def is_added(self, *, tenant: str | None, parent: ParentValues) -> bool:
        """Return whether a new row is news, and not the baseline of a tenant or parent asked for the first time."""
        if not _is_of(tenant, self.tenants_before):
            return False
        return self.asked is None or self.known is None or parent in self.known

    def keeps(self, parent: ParentValues) -> bool:
        """Return whether the old rows of a parent stay, because it was not asked."""
        if self.asked is None or not self.left_out:
            return False
        return self.asked.get(parent) in {None, "failed"}


def _is_of(tenant: str | None, tenants: frozenset[str] | None) -> bool:
    return tenants is None or (tenant is not None and tenant.casefold() in tenants)
