"""Opus through the public face: a flow that waits, one that polls without a key, and hosts that come and go."""

import asyncio
import os
from pathlib import Path

import httpx
import pytest

from sandbox.azurite import Azurite
from sandbox.host.process import RunningHost, running_host
from tests.conftest import Simulator, app_settings
from tests.waiting import until

CONNECTION = "b4bbdbbd-cf2d-5c44-939b-be86bc688035"
SUBMIT = f"opus/connections/{CONNECTION}/records"
OPUS = "/records/connector/records"
PEOPLE = {"createdBy": "user01", "modifiedBy": "user01"}
TIMES = {"timeCreated": "2020-01-15T08:30:00Z", "timeModified": "2020-01-15T08:30:00Z"}


def records(count: int, *, name: str = "r") -> list[dict[str, str]]:
    return [
        {"rowKey": f"{name}{number:03d}", "leafName": f"Record {number}", **TIMES, **PEOPLE} for number in range(count)
    ]


async def followed(answer: httpx.Response) -> httpx.Response:
    """The answer that a flow gets when it does what 202 asks for, and nothing else: it has no key any more."""
    async with httpx.AsyncClient(timeout=40) as stranger, asyncio.timeout(60):
        while answer.status_code == httpx.codes.ACCEPTED:
            assert int(answer.headers["Retry-After"]) > 0
            assert "token=" in answer.headers["Location"]
            assert "code=" not in answer.headers["Location"]
            await asyncio.sleep(0.2)
            answer = await stranger.get(answer.headers["Location"])
    return answer


@pytest.mark.usefixtures("services")
async def test_records_are_submitted_found_due_and_destroyed_once(
    client: httpx.AsyncClient, avepoint: Simulator
) -> None:
    wanted = records(40)
    body = {"conflictOption": "Overwrite", "records": wanted}
    submitted = await client.post(SUBMIT, json=body, headers={"Repeatability-Request-ID": "one"})
    assert (submitted.status_code, submitted.json()["succeeded"]) == (httpx.codes.OK, 40)

    listed: list[str] = []
    url: str | None = f"{SUBMIT}/due?top=15"
    while url:
        page = (await client.get(url)).json()
        listed += [record["rowKey"] for record in page["value"]]
        url = page.get("nextLink")
    assert sorted(listed) == [record["rowKey"] for record in wanted]  # batches arrive side by side, in any order

    key = {"Idempotency-Key": "two"}
    twice = [client.post("opus/records/destroy", json={"ids": listed}, headers=key) for _ in range(2)]
    answers = [await followed(answer) for answer in await asyncio.gather(*twice)]
    assert answers[0].json() == answers[1].json()
    assert answers[0].json()["succeeded"] == 40
    assert [record.destroyed for record in avepoint.avepoint.opus.records] == [1] * 40


@pytest.mark.usefixtures("services")
async def test_what_opus_puts_off_is_polled_without_a_key_until_it_is_done(
    client: httpx.AsyncClient, avepoint: Simulator
) -> None:
    avepoint.fault(method="POST", path=OPUS, status=429, headers={"Retry-After": "6"})

    accepted = await client.post(SUBMIT, json={"conflictOption": "Skip", "records": records(2)})
    assert accepted.status_code == httpx.codes.ACCEPTED
    finished = await followed(accepted)

    assert (finished.status_code, finished.json()["status"]) == (httpx.codes.OK, "Succeeded")
    again = await client.get(f"operations/{finished.json()['operationId']}")
    assert again.json() == finished.json()


@pytest.mark.usefixtures("services")
async def test_a_poll_without_its_token_is_401(host: RunningHost) -> None:
    async with httpx.AsyncClient() as stranger:
        answer = await stranger.get(f"{host.url}/api/operations/{'0' * 32}/poll")
    assert (answer.status_code, answer.headers["x-ms-error-code"]) == (httpx.codes.UNAUTHORIZED, "Unauthorized")


@pytest.mark.usefixtures("services")
async def test_what_one_host_has_accepted_the_next_one_finishes(
    azurite: Azurite, avepoint: Simulator, tmp_path: Path
) -> None:
    avepoint.avepoint.change({"latencyMs": 50})
    settings = app_settings(azurite, avepoint) | {"OPUS_SYNC_SECONDS": "0"}
    environ = {**os.environ, **settings, "SANDBOX_FUNCTION_KEY": "k" * 20, "SANDBOX_INVISIBILITY_SECONDS": "2"}
    body = {"conflictOption": "Skip", "records": records(300)}
    url = f"api/{SUBMIT}?wait=false"
    headers = {"x-functions-key": "k" * 20, "Idempotency-Key": "key"}
    async with (
        running_host(log=tmp_path / "one.log", env=environ) as one,
        httpx.AsyncClient(base_url=one.url, headers=headers, timeout=40) as client,
    ):
        told = await client.post(url, json=body)
        assert (told.status_code, told.json()["status"]) == (httpx.codes.OK, "NotStarted")
        await until(lambda: avepoint.requests(OPUS))
    async with (
        running_host(log=tmp_path / "next.log", env=environ) as following,
        httpx.AsyncClient(base_url=following.url, headers=headers, timeout=40) as client,
    ):
        finished = await followed(await client.get(f"api/operations/{told.json()['operationId']}"))
        again = await client.post(url, json=body)
    assert finished.json()["succeeded"] == 300
    assert again.json() == finished.json()
    assert {record.submitted for record in avepoint.avepoint.opus.records} == {1}
