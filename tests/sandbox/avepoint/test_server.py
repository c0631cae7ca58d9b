import asyncio
import signal
import sys
from argparse import ArgumentParser
from asyncio.subprocess import PIPE

import httpx
import pytest

from sandbox.avepoint.server import add_arguments
from sandbox.serving import listen

from .conftest import TOKEN_FORM, Service


async def test_the_command_serves_until_sigterm() -> None:
    """A secret may begin with a hyphen, as one in 64 random ones does."""
    form = {**TOKEN_FORM, "client_secret": "-hush"}
    options = ("--port", "0", "--items", "3", "--client-id", "me", "--client-secret=-hush")
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "sandbox", "avepoint", *options, stdout=PIPE)
    assert process.stdout
    try:
        line = (await process.stdout.readline()).decode()
        assert line.startswith("avepoint listening on http://127.0.0.1:")
        async with httpx.AsyncClient(base_url=line.split()[-1]) as client:
            token = await client.post("/connect/token", data={**form, "scope": "enpower.data.read.all"})
            headers = {"authorization": f"Bearer {token.json()['access_token']}"}
            answer = await client.get("/smp/powerplatform/powerapps", headers=headers)
            assert answer.json()["totalCount"] == 3
            wrong = {**form, "client_secret": "wrong", "scope": "enpower.data.read.all"}
            assert (await client.post("/connect/token", data=wrong)).status_code == 400
    finally:
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
    assert await process.stdout.read() == b""


async def test_a_port_that_is_taken_is_refused_in_a_sentence() -> None:
    with listen(0) as taken:
        port = str(taken.getsockname()[1])
        command = (sys.executable, "-m", "sandbox", "avepoint", "--port", port)
        process = await asyncio.create_subprocess_exec(*command, stderr=PIPE)
        _, said = await process.communicate()
    assert process.returncode == 1
    assert said.decode() == f"error: port {port} of 127.0.0.1 cannot be used: Address already in use\n"


async def test_the_last_page_of_a_million_items(service: Service) -> None:
    service.avepoint.change({"items": 1_000_000})
    body = (await service.client.get("/aos/jobs", params={"top": 1000, "skip": 999_990})).json()
    assert (len(body["jobs"]), body["totalCount"], body["nextLink"]) == (10, 1_000_000, "")


@pytest.mark.parametrize(
    "wrong", [["--items", "-1"], ["--latency-ms", "-1"], ["--port", "-1"], ["--port", "65536"], ["--items", "1.5"]]
)
def test_options_that_cannot_be_are_refused_in_a_sentence(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    parser = ArgumentParser()
    add_arguments(parser)
    with pytest.raises(SystemExit) as caught:
        parser.parse_args(["--port", "0", *wrong])
    assert caught.value.code == 2
    assert f"argument {wrong[0]}: " in capsys.readouterr().err
