"""Links that carry their own right: where to ask for an operation, and where a list of due records goes on.

Neither holds a function key. The token in the first is good for one operation, and says nothing about any other; the
one in the second belongs to one list: connection, date and page size.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.clock import Clock, rfc3339
from shared.opus.client import Position
from shared.proofs import Proofs
from shared.signing import BadStatement, Signer

POLL_LIFE = timedelta(hours=48)
LIST_LIFE = timedelta(hours=24)

_POLL = "opus poll"
_LIST = "opus due records"


@dataclass(frozen=True, slots=True)
class DueList:
    """A list of due records that is given out page by page."""

    connection: str
    before: datetime
    top: int

    def query(self, token: str) -> dict[str, str]:
        """The query of the next page."""
        return {"before": rfc3339(self.before), "top": str(self.top), "token": token}

    def claims(self) -> dict[str, object]:
        """What a token for it says."""
        return {"connection": self.connection, "before": rfc3339(self.before), "top": self.top}


class Links:
    """Makes and reads the tokens of links.

    All methods raise ``Misconfigured`` or ``VaultUnavailable`` when the credential that keys are derived from cannot be
    had.
    """

    def __init__(self, proofs: Proofs, *, clock: Clock) -> None:
        self._proofs = proofs
        self._clock = clock

    async def poll_token(self, operation_id: str) -> str:
        """A token for one operation."""
        return await self._signed(_POLL, {"operation": operation_id}, POLL_LIFE)

    async def check_poll(self, token: str, operation_id: str) -> None:
        """Let a token in.

        Raises:
            BadStatement: It is not good for this operation, or not any more.
        """
        if (await self._read(_POLL, token)).get("operation") != operation_id:
            raise BadStatement("it belongs to another operation")

    async def list_token(self, due: DueList, position: Position) -> str:
        """A token for the rest of a list."""
        place = {"start": position.start_index, "skip": position.skip}
        return await self._signed(_LIST, due.claims() | place, LIST_LIFE)

    async def position(self, token: str, due: DueList) -> Position:
        """Where a list goes on.

        Raises:
            BadStatement: The token is not good for this list, or not any more.
        """
        claims = await self._read(_LIST, token)
        start, skip = claims.get("start"), claims.get("skip")
        if any(claims.get(name) != value for name, value in due.claims().items()) or not isinstance(skip, int):
            raise BadStatement("it belongs to another list")
        return Position(str(start) if start is not None else None, skip)

    async def _signed(self, purpose: str, claims: Mapping[str, object], life: timedelta) -> str:
        signer = await self._signer(purpose)
        return signer.sign(claims, expires=self._clock() + life)

    async def _read(self, purpose: str, token: str) -> Mapping[str, object]:
        signer = await self._signer(purpose)
        return signer.read(token, now=self._clock())

    async def _signer(self, purpose: str) -> Signer:
        return Signer.for_purpose(purpose, material=await self._proofs.material("opus"))
