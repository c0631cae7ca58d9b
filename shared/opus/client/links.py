"""Links that carry their own right: where to ask for an operation, and where a list of due records goes on.

Neither holds a function key. The token in the first is good for one operation, and says nothing about any other; the
one in the second belongs to one list: connection, date and page size.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.azure.signing_key import signing_key
from shared.azure.storage import Storage
from shared.clock import Clock, rfc3339
from shared.credentials.client_credentials import ClientCredentials
from shared.credentials.secrets import VaultUnavailable
from shared.credentials.signing import BadStatement, Signer
from shared.errors import BadResponse, Misconfigured
from shared.opus.client.due_list import Cursor, PageGuard

POLL_LIFE = timedelta(hours=48)
LIST_LIFE = timedelta(hours=24)

_LONGEST_TOKEN = 3_600
"""Characters: what a URL of 4,096 bytes leaves beside its host and path."""

_POLL = "opus poll"
_LIST = "opus due records"


@dataclass(frozen=True, slots=True)
class DueList:
    """A list of due records that is given out page by page."""

    connection: str
    before: datetime
    top: int

    def query(self, token: str) -> dict[str, str]:
        """Return the query of the next page."""
        return {"before": rfc3339(self.before), "top": str(self.top), "token": token}

    def claims(self) -> dict[str, object]:
        """Return what a token for it says."""
        return {"connection": self.connection, "before": rfc3339(self.before), "top": self.top}


class Links:
    """Makes and reads the tokens of links; all methods raise what ``Storage`` raises."""

    def __init__(self, storage: Storage, credentials: ClientCredentials, *, clock: Clock) -> None:
        self._storage = storage
        self._proofs = credentials
        self._clock = clock

    async def poll_token(self, operation_id: str) -> str:
        """Return a token for one operation."""
        return await self._signed(_POLL, {"operation": operation_id}, POLL_LIFE)

    async def check_poll(self, token: str, operation_id: str) -> None:
        """Let a token in.

        Raises:
            BadStatement: It is not good for this operation, or not any more.
        """
        if (await self._read(_POLL, token)).get("operation") != operation_id:
            raise BadStatement("it belongs to another operation")

    async def list_token(self, due: DueList, cursor: Cursor) -> str:
        """Return a token for the rest of a list.

        Raises:
            BadResponse: Opus names a place that is too long for a link.
        """
        guard = {"pages": cursor.guard.pages, "kept": cursor.guard.kept}
        place = {"start": cursor.start_index, "skip": cursor.skip, **guard}
        token = await self._signed(_LIST, due.claims() | place, LIST_LIFE)
        if len(token) > _LONGEST_TOKEN:
            raise BadResponse(
                f"Opus names a start index of {len(cursor.start_index or '')} characters, which no link can hold",
                remedy="Ask for more records in one call, with a larger top.",
            )
        return token

    async def cursor(self, token: str, due: DueList) -> Cursor:
        """Return where a list goes on.

        Raises:
            BadStatement: The token is not good for this list, or not any more.
        """
        claims = await self._read(_LIST, token)
        start, skip, pages = claims.get("start"), claims.get("skip"), claims.get("pages", 0)
        if any(claims.get(name) != value for name, value in due.claims().items()):
            raise BadStatement("it belongs to another list")
        if not isinstance(skip, int) or not isinstance(pages, int):
            raise BadStatement("it belongs to another list")
        guard = PageGuard(pages, str(claims.get("kept", "")))
        return Cursor(str(start) if start is not None else None, skip, guard)

    async def _signed(self, purpose: str, claims: Mapping[str, object], life: timedelta) -> str:
        signer = Signer.for_purpose(purpose, key_material=await signing_key(self._storage))
        return signer.sign(claims, expires=self._clock() + life)

    async def _read(self, purpose: str, token: str) -> Mapping[str, object]:
        signer = Signer.for_purpose(purpose, key_material=await signing_key(self._storage))
        try:
            return signer.read(token, now=self._clock())
        except BadStatement as error:
            return await self._read_earlier(purpose, token, error)

    async def _read_earlier(self, purpose: str, token: str, refusal: BadStatement) -> Mapping[str, object]:
        """Read what version 0.1 has signed, under a key that it derived from the credential of AvePoint."""
        try:
            if key_material := await self._proofs.key_material("opus"):
                return Signer.for_purpose(purpose, key_material=key_material).read(token, now=self._clock())
        except (BadStatement, Misconfigured, VaultUnavailable):
            raise refusal from None
        raise refusal
