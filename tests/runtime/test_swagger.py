"""What the app answers is what the connector's definition says, to sense and to nonsense."""

import asyncio
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import httpx
import pytest
import schemathesis
from schemathesis import CheckContext, Response
from schemathesis.core import NOT_SET

from sandbox.host.process import RunningHost
from tests.connector.reading import OPERATIONS, PARAMETERS, SWAGGER, SWAGGER_FILE
from tests.runtime.conftest import POLL_SECONDS
from tests.runtime.fuzzing import CHECKS, Case, fuzz

type Given = dict[str, Any] | None  # JSON

EXAMPLES = 15
"""How often each operation is called with whatever comes to mind."""

FOR_PROGRAMS = frozenset({"openapi.json", "status", "status/{file}"})
"""Routes that no flow needs."""

RUN_SECONDS = 60
CONNECTION = {"opusConnectionId": "b4bbdbbd-cf2d-5c44-939b-be86bc688035"}
DATASET = {"source": "graph", "dataset": "enpower-powerapps"}
TIMES = dict.fromkeys(("timeCreated", "timeModified"), "2020-01-15T08:30:00Z")
KEYS = ["swagger-1", "swagger-2"]
RECORDS = [{"rowKey": key, "leafName": key, **TIMES, "createdBy": "user01", "modifiedBy": "user01"} for key in KEYS]

SCHEMA = schemathesis.openapi.from_path(SWAGGER_FILE)
BOUNDED = {name: parameter for name, parameter in PARAMETERS.items() if "maximum" in parameter}


def errors_have_their_form(ctx: CheckContext, response: Response, case: Case) -> None:  # noqa: ARG001 - schemathesis asks
    """The form of the contract, for which the definition of a connector has no place."""
    if response.status_code >= HTTPStatus.BAD_REQUEST:
        error = response.json()["error"]
        assert error.keys() == {"code", "message", "target", "details"}
        assert response.headers["x-ms-error-code"] == [error["code"]]


@dataclass(frozen=True)
class Caller:
    """Calls operations, and holds every answer against the definition."""

    url: str
    key: str

    def send(self, case: Case) -> Response:
        """The answer to a call.

        Raises:
            FailureGroup: The definition does not know it.
        """
        answer = case.call(base_url=self.url, headers={"x-functions-key": self.key})
        case.validate_response(answer, checks=[*CHECKS, errors_have_their_form])
        return answer

    async def answer(
        self, name: str, *, path: Given = None, query: Given = None, headers: Given = None, body: Given = None
    ) -> Response:
        """The answer to an operation."""
        operation, content = SCHEMA.find_operation_by_id(name), NOT_SET if body is None else body
        case = operation.Case(path_parameters=path or {}, query=query or {}, headers=headers or {}, body=content)
        return await asyncio.to_thread(self.send, case)

    async def ok(self, name: str, **given: Given) -> Any:  # noqa: ANN401 - JSON
        """What an operation gives when all is well."""
        answer = await self.answer(name, **given)
        assert answer.status_code == HTTPStatus.OK, answer.text
        return answer.json()


@pytest.fixture
def caller(host: RunningHost) -> Caller:
    return Caller(f"{host.url}/api", host.key)


@pytest.mark.slow
@pytest.mark.usefixtures("services")
@pytest.mark.parametrize("name", OPERATIONS)
async def test_nothing_undocumented_is_answered(caller: Caller, name: str) -> None:
    examples = EXAMPLES if OPERATIONS[name]["parameters"] else 1
    await asyncio.to_thread(fuzz, SCHEMA.find_operation_by_id(name), caller.send, examples=examples)


@pytest.mark.usefixtures("services")
async def test_a_harvest_and_everything_about_it(caller: Caller) -> None:
    harvest: Given = {"source": DATASET["source"], "datasets": [DATASET["dataset"]]}
    await caller.ok("StartHarvest", query={"dryRun": "true"}, body=harvest)
    started = await caller.answer("StartHarvest", body=harvest)
    run_id = started.json()["runId"]
    async with asyncio.timeout(RUN_SECONDS):
        seen = started
        while seen.status_code == HTTPStatus.ACCEPTED:
            await asyncio.sleep(POLL_SECONDS)
            seen = await caller.answer("GetRun", path={"runId": run_id}, query={"wait": "true"})
    assert (await caller.ok("GetRun", path={"runId": run_id}))["state"] == "succeeded"
    assert (await caller.ok("GetLatest", path=DATASET))["runId"] == run_id
    assert (await caller.ok("ListRuns", query={"source": "graph", "top": 1}))["value"][0]["runId"] == run_id
    listed = (await caller.ok("ListDatasets", query={"source": "graph"}))["value"]
    assert {one["source"] for one in listed} == {"graph"}
    assert run_id in [one["latestRun"] for one in listed]
    for name in ("ResumeRun", "CancelRun"):
        await caller.ok(name, path={"runId": run_id})


@pytest.mark.usefixtures("services", "avepoint")
async def test_an_opus_round(caller: Caller) -> None:
    given: Given = {"conflictOption": "Overwrite", "records": RECORDS}
    submitted = await caller.ok("SubmitRecords", path=CONNECTION, body=given)
    assert submitted["succeeded"] == len(KEYS)
    assert (await caller.ok("ListDueRecords", path=CONNECTION, query={"top": 1}))["nextLink"]
    destroy: Given = {"ids": KEYS}
    await caller.ok("DestroyRecords", query={"dryRun": "true"}, headers={"Idempotency-Key": "rehearsal"}, body=destroy)
    destroyed = await caller.ok("DestroyRecords", headers={"Idempotency-Key": "first"}, body=destroy)
    assert destroyed["status"] == "Succeeded"
    operation: Given = {"operationId": destroyed["operationId"]}
    assert await caller.ok("GetOperation", path=operation) == destroyed
    assert len((await caller.ok("ListOperations"))["value"]) == len([submitted, destroyed])
    again = await caller.answer("DestroyRecords", headers={"Idempotency-Key": "second"}, body=destroy)
    assert (again.status_code, again.json()["error"]["code"]) == (HTTPStatus.UNPROCESSABLE_ENTITY, "AllFailed")
    word: Given = {"outcome": "Succeeded", "note": "Looked into Opus.", "checkedBy": "user01"}
    assert (await caller.answer("ResolveOperation", path=operation, body=word)).status_code == HTTPStatus.CONFLICT


@pytest.mark.usefixtures("services")
@pytest.mark.parametrize("name", BOUNDED)
async def test_a_limit_is_where_the_definition_says(caller: Caller, name: str) -> None:
    operation, parameter = name.split(".")
    least, most = BOUNDED[name]["minimum"], BOUNDED[name]["maximum"]
    wanted = {one["name"] for one in OPERATIONS[operation]["parameters"] if one["in"] == "path"}
    path = {name: value for name, value in (CONNECTION | DATASET).items() if name in wanted}
    for value in (least, most, least - 1, most + 1):
        answer = await caller.answer(operation, path=path, query={parameter: value})
        within = {HTTPStatus.OK, HTTPStatus.CONFLICT}  # the dataset has no table yet
        assert answer.status_code in (within if least <= value <= most else {HTTPStatus.BAD_REQUEST})


async def test_every_function_that_the_runtime_finds_is_in_the_definition(host: RunningHost) -> None:
    async with httpx.AsyncClient(headers={"x-functions-key": host.key}) as client:
        functions = (await client.get(f"{host.url}/admin/functions")).json()
    triggers = [function["config"]["bindings"][0] for function in functions]
    found = {
        (f"/{trigger['route']}", trigger["methods"][0].lower(), str(trigger["authLevel"]).lower() == "anonymous")
        for trigger in triggers
        if trigger["type"] == "httpTrigger" and trigger["route"] not in FOR_PROGRAMS
    }
    assert found == {
        (path, method, operation.get("security") == [])
        for path, operations in SWAGGER["paths"].items()
        for method, operation in operations.items()
    }
