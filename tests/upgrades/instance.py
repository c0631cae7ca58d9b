"""Instances of the app, of whatever version is on the path, which tests start and kill.

It calls the functions by their names, which are a contract, as the host does: those on queues when a message comes,
the others when the test asks for it. The clock is ahead by the seconds in the file ``CLOCK``.
"""

import asyncio
import base64
import json
import os
import signal
import sys
import traceback
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import azure.functions as func
import azure.storage.blob.aio  # noqa: F401 - the app loads it at first use: here before the instances are forked
from azure.storage.queue.aio import QueueClient

import function_app
from shared import services as building

QUEUES = {"harvest-slices": "harvest_slice", "opus-operations": "run_operation", "table-builds": "build_table"}
TRIES = 5
HIDDEN_SECONDS = 60
POLL_SECONDS = 0.05

FUNCTIONS: dict[str, Any] = {
    str(one.get_function_name()): one.get_user_function() for one in function_app.app.get_functions()
}


def clock() -> datetime:
    """The time of all instances."""
    return datetime.now(UTC) + timedelta(seconds=float(Path(os.environ["CLOCK"]).read_text()))


async def listen(queue: str, function: str) -> None:
    """Take messages off a queue, one after the other."""
    async with QueueClient.from_connection_string(os.environ["INVENTORY_STORAGE"], queue) as client:
        while True:
            message = await client.receive_message(visibility_timeout=HIDDEN_SECONDS)
            if message is None:
                await asyncio.sleep(POLL_SECONDS)
                continue
            exhausted = (message.dequeue_count or 0) > TRIES
            body = base64.b64decode(message.content)
            try:
                await FUNCTIONS[f"{function}_poison" if exhausted else function](func.QueueMessage(body=body))
            except Exception:  # noqa: BLE001 - the host leaves the message for another try, whatever it was
                traceback.print_exc()
                await client.update_message(message, visibility_timeout=1)
            else:
                await client.delete_message(message)


async def answer(asked: Any) -> dict[str, Any]:  # noqa: ANN401 - as the test wrote it
    """Call one function: that of a timer, or of a route."""
    function = FUNCTIONS[asked["function"]]
    if "method" not in asked:
        await function(None)
        return {}
    response = await function(
        func.HttpRequest(
            asked["method"],
            f"http://localhost:7071/api/{asked['path']}",
            headers=asked["headers"],
            params={},
            route_params=asked["route"],
            body=json.dumps(asked["body"]).encode() if asked["body"] is not None else b"",
        )
    )
    return {"status": response.status_code, "body": json.loads(response.get_body() or b"null")}


async def main(address: str) -> None:
    """Listen to the queues, and answer what is asked over a socket, until somebody ends the process."""
    (building.open_services.__kwdefaults__ or {})["clock"] = clock
    await building.services()
    listening = [
        asyncio.create_task(listen(queue, function)) for queue, function in QUEUES.items() if function in FUNCTIONS
    ]
    reader, writer = await asyncio.open_unix_connection(address, limit=2**24)
    writer.write(json.dumps({"pid": os.getpid()}).encode() + b"\n")
    while line := await reader.readline():
        try:
            told = await answer(json.loads(line))
        except Exception as error:  # noqa: BLE001 - the test says what it makes of it
            told = {"error": repr(error)}
        writer.write(json.dumps(told).encode() + b"\n")
    for task in listening:
        task.cancel()


def breed() -> None:
    """Fork an instance for each socket that a line of standard input names: everything is imported once."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        if os.fork() == 0:
            asyncio.run(main(line.strip()))
            os._exit(0)


if __name__ == "__main__":
    breed()
