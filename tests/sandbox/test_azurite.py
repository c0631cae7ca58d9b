import signal
from pathlib import Path

import pytest
from azure.storage.blob.aio import BlobServiceClient
from azure.storage.queue.aio import QueueServiceClient

from sandbox import azurite as module
from sandbox.azurite import azurite
from sandbox.processes import Process, ProcessError, free_port, running


async def test_blobs_and_queues_are_kept_and_the_process_ends_with_its_context(tmp_path: Path) -> None:
    async with azurite(tmp_path / "log") as storage:
        async with BlobServiceClient.from_connection_string(storage.connection_string) as blobs:
            container = await blobs.create_container("ccc")
            await container.upload_blob("b", b"kept")
            assert await (await container.download_blob("b")).readall() == b"kept"
        async with QueueServiceClient.from_connection_string(storage.connection_string) as queues:
            queue = await queues.create_queue("qqq")
            await queue.send_message("kept")
            assert [message.content for message in await queue.peek_messages()] == ["kept"]
        assert storage.process.child.returncode is None
    assert storage.process.child.returncode == 0


async def test_an_azurite_that_dies_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "program.js"
    program.write_text("console.error('no luck today'); process.exit(3)")
    monkeypatch.setattr(module, "PROGRAM", program)
    with pytest.raises(ProcessError, match=r"ended with status 3:\nno luck today"):
        async with azurite(tmp_path / "log"):
            pass


async def test_a_process_that_does_not_get_ready_says_what_it_printed(tmp_path: Path) -> None:
    async with running("sh", "-c", "echo waiting; exec sleep 60", log=tmp_path / "log") as process:
        await process.printed("^waiting$")
        with pytest.raises(ProcessError, match=r"printed no 'ready' in 0\.1 s:\nwaiting"):
            await process.printed("ready", within=0.1)
    assert process.child.returncode == -signal.SIGTERM


async def test_a_process_that_ignores_the_end_is_killed(tmp_path: Path) -> None:
    command = "trap '' TERM; echo trapped; while :; do sleep 0.05; done"
    process = await Process.start("sh", "-c", command, log=tmp_path / "log")
    await process.printed("trapped")
    assert await process.stop(within=0.2) == -signal.SIGKILL
    assert await process.stop() == -signal.SIGKILL  # once more does no harm


def test_free_ports_are_ports() -> None:
    assert 1024 <= free_port() < 65536
