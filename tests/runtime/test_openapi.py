"""What the app answers is what the description for programs says, to sense and to nonsense."""

import asyncio
import json

import httpx
import pytest
import schemathesis

from sandbox.host.process import RunningHost
from tests.runtime.fuzzing import CHECKS, Case, fuzz
from tools.openapi.document import FILES

EXAMPLES = 12
OF_HEALTH = 3  # each of them asks everything there is
SCHEMA = schemathesis.openapi.from_path(FILES[0])
OPERATIONS = [
    operation["operationId"]
    for methods in json.loads(FILES[0].read_text())["paths"].values()
    for operation in methods.values()
]


async def test_the_app_describes_itself(client: httpx.AsyncClient, host: RunningHost) -> None:
    answer = await client.get("openapi.json")
    document = answer.json()
    assert document.pop("servers") == [{"url": f"{host.url}/api"}]
    committed = json.loads(FILES[0].read_text())
    committed.pop("servers")
    assert document == committed


@pytest.mark.usefixtures("services")
@pytest.mark.parametrize("name", OPERATIONS)
async def test_nothing_undescribed_is_answered(host: RunningHost, name: str) -> None:
    def send(case: Case) -> None:
        answer = case.call(base_url=f"{host.url}/api", headers={"x-functions-key": host.key})
        case.validate_response(answer, checks=CHECKS)

    await asyncio.to_thread(
        fuzz, SCHEMA.find_operation_by_id(name), send, examples=OF_HEALTH if name == "healthDetails" else EXAMPLES
    )


@pytest.mark.usefixtures("services")
async def test_a_trigger_that_can_never_tell_anything_is_described(host: RunningHost) -> None:
    operation = SCHEMA.find_operation_by_id("onChange")
    case = operation.Case(query={"source": "graph", "dataset": "aos-audit"})
    answer = await asyncio.to_thread(case.call, base_url=f"{host.url}/api", headers={"x-functions-key": host.key})
    assert answer.status_code == httpx.codes.CONFLICT
    case.validate_response(answer, checks=CHECKS)
