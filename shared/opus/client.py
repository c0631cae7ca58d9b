"""Sends what ``shared.avepoint.opus`` builds, and says of every call what its answer proves."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.avepoint.opus import (
    DUE,
    NOT_EXECUTED,
    PAGE_SIZE,
    PROCESSED,
    ConflictOption,
    ConnectorApi,
    GraphApi,
    OpusApi,
    Record,
    read_due,
    read_processed,
)
from shared.avepoint.request import Request
from shared.errors import (
    BadAnswer,
    BrokenChain,
    Gone,
    Interrupted,
    Rejected,
    Throttled,
    Unauthorized,
    Unreachable,
    UpstreamFailed,
)
from shared.opus.dates import Dates
from shared.opus.verdicts import Answered, Later, NotSent, Refused, Unknown, Verdict
from shared.redaction import excerpt
from shared.settings import Settings
from shared.transport import Transport

_ANSWER_LENGTH = 16_000
_PAGES_AT_MOST = 500


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a list of due records: a page, and how many of its records were given out already."""

    start_index: str | None = None
    skip: int = 0


@dataclass(frozen=True, slots=True)
class DueRecords:
    """Some due records, and where the rest begins; ``None`` when there is no rest."""

    records: tuple[Record, ...]
    rest: Position | None


class Opus:
    """The Opus of one tenant. Nothing that changes records is repeated here: that is for the ledger to decide."""

    def __init__(self, api: OpusApi, *, transport: Transport, dates: Dates) -> None:
        self._api = api
        self._transport = transport
        self._dates = dates

    async def submit(self, connection: str, conflict_option: ConflictOption, records: Sequence[Record]) -> Verdict:
        """Submit 1 to 15 records that are written the way Opus wants them.

        Raises:
            Misconfigured, Retry: Nothing was sent, for want of a credential.
        """
        request = self._api.submit(connection, conflict_option, records)
        return await self._verdict(request, [str(record["rowKey"]) for record in records])

    async def destroy(self, ids: Sequence[str]) -> Verdict:
        """Mark 1 to 15 records as destroyed; raises what ``submit`` raises."""
        return await self._verdict(self._api.destroy(ids), ids)

    def destroy_request(self, ids: Sequence[str]) -> Request:
        """What ``destroy`` would send."""
        return self._api.destroy(ids)

    async def due(self, connection: str, before: datetime, *, top: int, start: Position) -> DueRecords:
        """At most ``top`` records of ``connection`` that are due before an instant, from ``start`` on.

        Every page of a list is asked for in the same size: what a start index counts is not documented. A page of
        which only a part fits is asked for again by who follows.

        Raises:
            BrokenChain: A start index comes back.
            AppError: Whatever else the transport raises.
        """
        size = min(top, PAGE_SIZE)
        records: list[Record] = []
        seen = {start.start_index}
        position: Position | None = start
        while position is not None and len(records) < top:
            page, rest = await self._page(connection, before, position.start_index, size)
            fresh = page[position.skip :]
            room = top - len(records)
            records += fresh[:room]
            if len(fresh) > room:
                position = Position(position.start_index, position.skip + room)
                break
            position = _unseen(rest, seen)
        return DueRecords(tuple(records), position)

    async def still_due(self, connection: str, before: datetime, ids: Collection[str]) -> frozenset[str]:
        """Which of ``ids`` are due still, and so certainly not destroyed; raises what ``due`` raises."""
        wanted, found = set(ids), set[str]()
        seen: set[str | None] = {None}
        index: str | None = None
        for _ in range(_PAGES_AT_MOST):
            page, rest = await self._page(connection, before, index, PAGE_SIZE)
            found |= wanted & {str(record["rowKey"]) for record in page}
            position = _unseen(rest, seen)
            if position is None or found == wanted:
                return frozenset(found)
            index = position.start_index
        raise BrokenChain(f"more than {_PAGES_AT_MOST * PAGE_SIZE} records are due")

    async def _page(
        self, connection: str, before: datetime, index: str | None, size: int
    ) -> tuple[tuple[Record, ...], str | None]:
        request = self._api.due(connection, self._dates.written(before), size=size, start_index=index)
        page = read_due((await self._transport.send(request, accept=DUE, caller="http")).answer)
        return tuple(_with_readable_times(record, self._dates) for record in page.records), page.next_index

    async def _verdict(self, request: Request, asked: Collection[str]) -> Verdict:
        try:
            reply = await self._transport.send(request, accept=PROCESSED, repeatable=False, caller="http")
            processed = read_processed(reply.answer, asked)
        except Throttled as error:
            return Later(error.until)
        except Unauthorized as error:
            return Refused("UpstreamUnauthorized", error.text)
        except (Rejected, Gone) as error:
            proven = error.status in NOT_EXECUTED
            return Refused("UpstreamRejected", error.text) if proven else Unknown(str(error))
        except Unreachable as error:
            return NotSent(str(error))
        except (Interrupted, UpstreamFailed, BadAnswer) as error:
            return Unknown(str(error))
        return Answered(processed, reply.answer.status, excerpt(reply.answer.body, length=_ANSWER_LENGTH))


def opus_api(settings: Settings) -> OpusApi:
    """The generation of the API that the settings name."""
    if settings.opus_api == "connector" and settings.opus_dispose_path is not None:
        return ConnectorApi(settings.opus_url, settings.opus_dispose_path)
    return GraphApi(settings.opus_url)


def _unseen(index: str | None, seen: set[str | None]) -> Position | None:
    """The position that a page names as next."""
    if index is None:
        return None
    if index in seen:
        raise BrokenChain(f"the list of due records comes back to start index {index!r}")
    seen.add(index)
    return Position(index)


def _with_readable_times(record: Record, dates: Dates) -> Record:
    return {
        name: dates.read(value) if name in {"timeCreated", "timeModified"} and isinstance(value, str) else value
        for name, value in record.items()
    }
