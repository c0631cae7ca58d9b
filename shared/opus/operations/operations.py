"""Operations: what a call asks of Opus, done once however often it is asked, and told at any time."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from shared.avepoint.opus import BATCH_SIZE
from shared.errors import InvalidInput
from shared.opus.evidence.archive import Archive
from shared.opus.intake.dates import Dates
from shared.opus.intake.identity import fingerprint
from shared.opus.intake.inputs import DestroyInput, ResolveInput, SubmitInput
from shared.opus.ledger.deduplication import body_id
from shared.opus.ledger.documents import Cancellation, Operation, Order
from shared.opus.ledger.keys import find_by_key, key_path
from shared.opus.operations.progress import OperationPage, OperationProgress, Reader
from shared.opus.operations.resolving import Resolving
from shared.opus.operations.starting import Starter
from shared.opus.operations.tools import Stop, Tools
from shared.opus.operations.worker import Worker, is_operation_id
from shared.settings import Settings


@dataclass(frozen=True, slots=True)
class Call:
    """Who asks, and how.

    Attributes:
        client: The ids that the caller gave the call.
        wait: Whether the caller waits for the outcome, as long as the synchronous window allows.
        atomic: Whether one bad record stands in the way of all others.
    """

    caller: str
    key: str | None
    client: Mapping[str, str]
    wait: bool = True
    atomic: bool = False


class Operations:
    """The operations of this app."""

    def __init__(self, tools: Tools, *, settings: Settings, dates: Dates) -> None:
        archive = Archive(tools.store, clock=tools.clock, sleep=tools.sleep, random=tools.random)
        self._tools = tools
        self._store = tools.store
        self._settings = settings
        self._dates = dates
        self._reader = Reader(tools.store, clock=tools.clock)
        self._resolving = Resolving(tools.store, archive, clock=tools.clock)
        self._worker = Worker(tools, archive, self._resolving)
        self._starter = Starter(tools, archive, self._worker, self._reader, sync_seconds=settings.opus_sync_seconds)

    async def submit(self, call: Call, connection: str, body: SubmitInput) -> OperationProgress:
        """Submit records, as far as the synchronous window allows.

        Raises:
            TooLarge, InvalidInput: The records cannot be submitted.
            KeyReused: The idempotency key belongs to another request.
            Conflict: It belongs to an operation of another place.
            Misconfigured, StorageUnavailable, VaultUnavailable: Not now; the operation goes on if it was begun.
        """
        body.check(most=self._settings.opus_submit_max_records, atomic=call.atomic)
        asked = fingerprint([connection, body.asked()])
        operation_id = await self._submit_id(call, connection, asked)
        order = Order(
            operation_id=operation_id,
            kind="submit",
            caller=call.caller,
            client=dict(call.client),
            fingerprint=asked,
            connection=connection,
            created_at=self._tools.clock(),
            conflict_option=body.conflict_option,
            dates=str(self._dates),
            records=body.for_opus(self._dates),
            refused=body.refused(),
            place=self._tools.place,
            key_path=key_path("submit", call.key) if call.key else None,
        )
        return await self._starter.perform(order, key=call.key, wait=call.wait)

    async def destroy(self, call: Call, body: DestroyInput) -> OperationProgress:
        """Mark records as destroyed, as far as the synchronous window allows; raises what ``submit`` raises.

        Raises:
            Forbidden: The settings do not allow it, and it was not begun before.
        """
        key = _required_key(call)
        body.check(most=self._settings.opus_destroy_max_ids)
        order = Order(
            operation_id=await find_by_key(self._store, call.caller, "destroy", key),
            kind="destroy",
            caller=call.caller,
            client=dict(call.client),
            fingerprint=fingerprint(body.model_dump(mode="json", by_alias=True)),
            connection=str(body.connection) if body.connection else None,
            created_at=self._tools.clock(),
            ids=tuple(body.ids),
            before=self._dates.instant(body.before) if body.before else None,
            place=self._tools.place,
            key_path=key_path("destroy", key),
        )
        return await self._starter.perform(order, key=key, wait=call.wait)

    def rehearse_destroy(self, call: Call, body: DestroyInput) -> list[dict[str, object]]:
        """Return what ``destroy`` would send to AvePoint: method, URL and body of each call.

        Raises:
            TooLarge, InvalidInput: The ids cannot be destroyed, or there is no key.
        """
        _required_key(call)
        body.check(most=self._settings.opus_destroy_max_ids)
        batches = [body.ids[start : start + BATCH_SIZE] for start in range(0, len(body.ids), BATCH_SIZE)]
        requests = [self._tools.opus.destroy_request(batch) for batch in batches]
        return [{"method": each.method, "url": each.url, "body": json.loads(each.body or b"null")} for each in requests]

    async def get(self, operation_id: str) -> OperationProgress | None:
        """Return how far an operation is; ``None`` when there is none of that id."""
        return await self._reader.get(operation_id) if is_operation_id(operation_id) else None

    async def of_date(self, day: date, *, after: str = "") -> OperationPage:
        """Return the operations created on ``day`` (UTC), in order of time, beyond the mark ``after``."""
        return await self._reader.of_date(day, after=after)

    async def uncertain(self, *, after: str = "") -> OperationPage:
        """Return the operations with items that wait for a person, in order of time, beyond the mark ``after``."""
        return await self._reader.uncertain(after=after)

    async def cancel(self, operation_id: str, call: Call) -> OperationProgress | None:
        """End what has not been sent of an operation; ``None`` when there is none of that id.

        While a batch is in flight, its worker stops before the next one; otherwise the operation has ended on return.
        """
        opening = await self._store.opening(operation_id) if is_operation_id(operation_id) else None
        if opening is None or await self._store.first_result(operation_id):
            return await self.get(operation_id)
        now = self._tools.clock()
        cancellation = Cancellation(caller=call.caller, client=dict(call.client), at=now)
        await self._store.cancel(operation_id, cancellation)
        if lease := await self._worker.take(opening):
            await self._worker.end(opening.order, lease, Stop("Cancelled", f"It was cancelled at {now:%FT%TZ}."))
        return await self.get(operation_id)

    async def resolve(self, operation_id: str, call: Call, body: ResolveInput) -> Operation | None:
        """Write down what a person says of uncertain items; ``None`` when there is no such operation.

        Raises:
            Conflict: The operation still runs, nothing is uncertain about it, or something else was said before.
            InvalidInput: An id that is named was never uncertain.
        """
        opening = await self._store.opening(operation_id) if is_operation_id(operation_id) else None
        if opening is None:
            return None
        return await self._resolving.resolve(opening.order, body, caller=call.caller, client=call.client)

    async def run(self, operation_id: str, *, watch: str | None = None) -> None:
        """Go on with an operation, as the queue asks for it; raises what ``Worker.run`` raises."""
        await self._worker.run(operation_id, watch=watch)

    async def give_up(self, operation_id: str) -> None:
        """End an operation whose messages all failed: what was not sent failed, what was sent is uncertain."""
        await self._worker.give_up(operation_id)

    async def revive(self, operation_id: str) -> None:
        """Wake up an operation that is open and has fallen silent."""
        await self._worker.revive(operation_id)

    async def _submit_id(self, call: Call, connection: str, asked: str) -> str:
        if call.key:
            return await find_by_key(self._store, call.caller, "submit", call.key)
        return await body_id(call.caller, connection, asked, store=self._store, now=self._tools.clock())


def _required_key(call: Call) -> str:
    if call.key is None:
        raise InvalidInput(
            "Destroying records needs the header Idempotency-Key.",
            target="Idempotency-Key",
            remedy="Send the same key with every repetition of a call, and another key with every other call.",
        )
    return call.key
