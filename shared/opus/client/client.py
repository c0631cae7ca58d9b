"""Sends what ``shared.avepoint.opus`` builds, and says of every call what its answer proves."""

from collections.abc import Collection, Sequence
from datetime import datetime
from http import HTTPStatus

from shared.avepoint.opus import (
    PAGE_SIZE,
    ConflictOption,
    ConnectorApi,
    Generation,
    GraphApi,
    OpusApi,
    Record,
)
from shared.avepoint.opus_answers import DUE, NOT_EXECUTED, PROCESSED, DuePage, loosely, read_due, read_processed
from shared.avepoint.request import Request
from shared.errors import (
    BadResponse,
    Gone,
    Interrupted,
    Rejected,
    Throttled,
    TokenUnavailable,
    Unauthorized,
    Unreachable,
    UpstreamFailed,
)
from shared.opus.client.due_list import Cursor, DueRecords, PageWalk, StillDue
from shared.opus.client.verdicts import Answered, CallVerdict, Later, NotSent, NotSentYet, Refused, Unknown
from shared.opus.intake.dates import Dates
from shared.settings import Settings
from shared.telemetry.redaction import excerpt
from shared.transport.transport import Transport, origin_of

_ANSWER_LENGTH = 16_000
_CHECK_CONNECTION = "Check opusConnectionId: Opus does not know this connection."


class Opus:
    """The Opus of one tenant. Nothing that changes records is repeated here: that is for the ledger to decide."""

    def __init__(self, api: OpusApi, *, transport: Transport, dates: Dates) -> None:
        self._api = api
        self._transport = transport
        self._dates = dates

    @property
    def origin(self) -> str:
        """Scheme, host and port of its URL."""
        return origin_of(self._api.base_url)

    @property
    def generation(self) -> Generation:
        """Which generation of the API it speaks."""
        return self._api.generation

    async def submit(self, connection: str, conflict_option: ConflictOption, records: Sequence[Record]) -> CallVerdict:
        """Submit 1 to 15 records that are written the way Opus wants them.

        Raises:
            Misconfigured, Retry: Nothing was sent, for want of a credential.
        """
        request = self._api.submit(connection, conflict_option, records)
        return await self._verdict(request, [str(record["rowKey"]) for record in records], to_connection=True)

    async def destroy(self, ids: Sequence[str]) -> CallVerdict:
        """Mark 1 to 15 records as destroyed; raises what ``submit`` raises."""
        return await self._verdict(self._api.destroy(ids), ids)

    def destroy_request(self, ids: Sequence[str]) -> Request:
        """Return what ``destroy`` would send."""
        return self._api.destroy(ids)

    async def due(self, connection: str, before: datetime, *, top: int, start: Cursor) -> DueRecords:
        """Return at most ``top`` records of ``connection`` that are due before an instant, from ``start`` on.

        Every page of a list is asked for in the same size: what a start index counts is not documented. A page of
        which only a part fits is asked for again by the next call. Pages overlap when records move in the list
        meanwhile: a record is given out once a call.

        Raises:
            BrokenChain: The list repeats itself.
            AppError: Whatever else the transport raises.
        """
        size = min(top, PAGE_SIZE)
        records: dict[object, Record] = {}
        walk, cursor = PageWalk(start), start
        while len(records) < top:
            page = await self._page(connection, before, cursor.start_index, size)
            following = walk.next_cursor(page.records, page.next_index)
            given = {record["rowKey"] for record in page.records[: cursor.skip]}
            for place, record in enumerate(page.records[cursor.skip :], cursor.skip):
                key = record["rowKey"]
                if key in given or key in records:
                    continue
                if len(records) == top:
                    guard = following.guard if following else cursor.guard
                    return DueRecords((*records.values(),), Cursor(cursor.start_index, place, guard))
                records[key] = record
            if following is None:
                return DueRecords((*records.values(),), None)
            cursor = following
        return DueRecords((*records.values(),), cursor)

    async def still_due(self, connection: str, before: datetime, ids: Collection[str], *, pages: int) -> StillDue:
        """Return which of ``ids`` are due, from at most ``pages`` pages of the list; raises what ``due`` raises."""
        wanted, found, alike = frozenset(ids), set[str](), set[str]()
        walk = PageWalk(Cursor())
        for _ in range(pages):
            page = await self._page(connection, before, walk.cursor.start_index, PAGE_SIZE)
            listed = {str(record["rowKey"]) for record in page.records}
            found |= wanted & listed
            alike |= _alike(wanted, listed)
            if walk.next_cursor(page.records, page.next_index) is None or found == wanted:
                return StillDue(frozenset(found), whole=True, alike=frozenset(alike - found))
        return StillDue(frozenset(found), whole=False, alike=frozenset(alike - found))

    async def _page(self, connection: str, before: datetime, index: str | None, size: int) -> DuePage:
        request = self._api.due(connection, self._dates.written(before), size=size, start_index=index)
        try:
            reply = await self._transport.send(request, accept=DUE, caller="http")
        except Gone as error:
            raise _unknown_connection(error) from error
        page = read_due(reply.response, self._api.form)
        return DuePage(tuple(_with_readable_times(record, self._dates) for record in page.records), page.next_index)

    async def _verdict(self, request: Request, asked: Collection[str], *, to_connection: bool = False) -> CallVerdict:
        try:
            reply = await self._transport.send(request, accept=PROCESSED, repeatable=False, caller="http")
            processed = read_processed(reply.response, asked, self._api.form)
        except Throttled as error:
            return Later(error.until)
        except Unauthorized as error:
            return Refused("UpstreamUnauthorized", error.text)
        except (Rejected, Gone) as error:
            proven = error.status in NOT_EXECUTED
            told = _unknown_connection(error) if to_connection and isinstance(error, Gone) else error
            return Refused("UpstreamRejected", told.text) if proven else Unknown(str(error))
        except TokenUnavailable as error:
            return NotSentYet(error.text)
        except Unreachable as error:
            return NotSent(str(error))
        except (Interrupted, UpstreamFailed, BadResponse) as error:
            return Unknown(str(error))
        return Answered(processed, reply.response.status, excerpt(reply.response.body, length=_ANSWER_LENGTH))


def opus_api(settings: Settings) -> OpusApi:
    """Return the generation of the API that the settings name."""
    if settings.opus_api == "connector" and settings.opus_dispose_path is not None:
        return ConnectorApi(settings.opus_url, settings.opus_dispose_path)
    return GraphApi(settings.opus_url)


def _alike(wanted: Collection[str], listed: Collection[str]) -> set[str]:
    """Return which ids are listed in some spelling."""
    spelt = {loosely(key) for key in listed}
    return {key for key in wanted if loosely(key) in spelt}


def _unknown_connection(error: Gone) -> Rejected | Gone:
    if error.status != HTTPStatus.NOT_FOUND:
        return error
    return Rejected(str(error), status=error.status, remedy=_CHECK_CONNECTION)


def _with_readable_times(record: Record, dates: Dates) -> Record:
    return {
        name: dates.read(value) if name in {"timeCreated", "timeModified"} and isinstance(value, str) else value
        for name, value in record.items()
    }
