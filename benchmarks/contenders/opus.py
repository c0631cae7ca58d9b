"""The Opus proxy: one submit of so many records, 15 a call, with so many calls in flight."""

import asyncio
import uuid

from benchmarks.contenders.work import Work, items_of
from benchmarks.inmemory import ForgetfulStorage, app, settings_for
from shared.opus.intake.inputs import SubmitInput
from shared.opus.operations.assembly import operations_of
from shared.opus.operations.operations import Call

_CONNECTION = "b4bbdbbd-cf2d-5c44-939b-be86bc688035"
_RECORD = {
    "leafName": "Contract.docx",
    "timeCreated": "2026-01-15T08:30:00Z",
    "timeModified": "2026-02-20T16:45:00Z",
    "createdBy": "user01@contoso.example",
    "modifiedBy": "user02@contoso.example",
}


def run(url: str, at_once: int) -> Work:
    """Submit as many records as the list of the URL holds items."""
    return asyncio.run(_submit(url, at_once))


async def _submit(url: str, at_once: int) -> Work:
    count = items_of(url)
    settings = settings_for(
        url, THROTTLE_CONCURRENCY=str(at_once), OPUS_SYNC_SECONDS="100", OPUS_SUBMIT_MAX_RECORDS=str(count)
    )
    records = [{"rowKey": f"record-{number:06d}", **_RECORD} for number in range(count)]
    body = SubmitInput.model_validate({"conflictOption": "Overwrite", "records": records})
    call = Call(caller="benchmark", key=uuid.uuid4().hex, client={})
    async with app(settings, ForgetfulStorage()) as services:
        operation = (await operations_of(services).submit(call, _CONNECTION, body)).operation
    if operation.succeeded != count:
        raise AssertionError(f"not everything succeeded: {operation.status}, {operation.succeeded} of {count}")
    return Work(count, 0)
