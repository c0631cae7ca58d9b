import asyncio
import signal
import sys
from asyncio.subprocess import PIPE

import httpx

from .conftest import TOKEN_FORM, Service


async def test_the_command_serves_until_sigterm() -> None:
    options = ("--port", "0", "--items", "3", "--client-id", "me", "--client-secret", "hush")
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "sandbox", "avepoint", *options, stdout=PIPE)
    assert process.stdout
    try:
        line = (await process.stdout.readline()).decode()
        assert line.startswith("avepoint listening on http://127.0.0.1:")
        async with httpx.AsyncClient(base_url=line.split()[-1]) as client:
            token = await client.post("/connect/token", data={**TOKEN_FORM, "scope": "enpower.data.read.all"})
            headers = {"authorization": f"Bearer {token.json()['access_token']}"}
            answer = await client.get("/smp/powerplatform/powerapps", headers=headers)
            assert answer.json()["totalCount"] == 3
            wrong = {**TOKEN_FORM, "client_secret": "wrong", "scope": "enpower.data.read.all"}
            assert (await client.post("/connect/token", data=wrong)).status_code == 400
    finally:
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
    assert await process.stdout.read() == b""


async def test_the_last_page_of_a_million_items(service: Service) -> None:
    service.avepoint.change({"items": 1_000_000})
    body = (await service.client.get("/aos/jobs", params={"top": 1000, "skip": 999_990})).json()
    assert (len(body["jobs"]), body["totalCount"], body["nextLink"]) == (10, 1_000_000, "")
