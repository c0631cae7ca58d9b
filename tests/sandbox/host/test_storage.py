from datetime import UTC, datetime, timedelta

import pytest
from azure.storage.queue import AccountSasPermissions, ResourceTypes, generate_account_sas

from sandbox.azurite import ACCOUNT, KEY, Azurite
from sandbox.host.queues.storage import Queues, send
from sandbox.host.runtime import Function

BINDING = {"type": "queueTrigger", "name": "message", "queueName": "%Q%", "connection": "STORE"}
FUNCTION = Function("take", "1", (BINDING,))


async def test_a_signed_queue_address_works_as_connection_and_a_missing_queue_is_made(storage: Azurite) -> None:
    signature = generate_account_sas(
        ACCOUNT,
        KEY,
        ResourceTypes(service=True, container=True, object=True),
        AccountSasPermissions(read=True, write=True, add=True, create=True, process=True),
        datetime.now(UTC) + timedelta(hours=1),
    )
    queues = Queues({"STORE__queueServiceUri": f"{storage.queue_url}?{signature}", "Q": "signed"})
    queue = queues.of(FUNCTION, BINDING)
    await send(queue, "first")
    assert [message.content for message in await queue.peek_messages()] == ["first"]
    await queues.close()


@pytest.mark.parametrize(("queue", "poison"), [("q", "q-poison"), ("q-poison", None)])
async def test_a_poison_queue_has_no_poison_queue(queue: str, poison: str | None) -> None:
    queues = Queues({"STORE__queueServiceUri": "https://account.queue.core.windows.net", "Q": queue})
    found = queues.poison_of(FUNCTION)
    assert (found.queue_name if found else None) == poison
    await queues.close()
