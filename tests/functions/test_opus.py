"""The Opus functions as their callers see them; the host around them has its own tests."""

import json
from collections.abc import Mapping
from urllib.parse import parse_qsl, urlsplit

import azure.functions as func
import pytest

from functions import opus
from sandbox.avepoint.faults import Rule
from shared.services import Services
from shared.storage import Container, Storage
from tests.conftest import Clock, Simulator

CONNECTION = "b4bbdbbd-cf2d-5c44-939b-be86bc688035"
HOST = "https://app.example"
SUBMIT = f"/api/opus/connections/{CONNECTION}/records"
DESTROY = "/api/opus/records/destroy"
RECORD = {
    "rowKey": "a",
    "leafName": "A",
    "timeCreated": "2020-01-15T08:30:00Z",
    "timeModified": "2020-01-15T08:30:00Z",
    "createdBy": "user01",
    "modifiedBy": "user01",
}


@pytest.fixture
def environ(environ: dict[str, str]) -> dict[str, str]:
    return environ | {"OPUS_DESTROY_ENABLED": "true", "OPUS_SUBMIT_MAX_RECORDS": "20", "OPUS_DESTROY_MAX_IDS": "20"}


@pytest.fixture
def app(services: Services, monkeypatch: pytest.MonkeyPatch) -> Services:
    async def opened() -> Services:
        return services

    monkeypatch.setattr(opus, "services", opened)
    return services


class Told:
    """An answer, read."""

    def __init__(self, response: func.HttpResponse) -> None:
        self.status = response.status_code
        self.headers = response.headers
        self.body = json.loads(response.get_body())

    @property
    def error(self) -> tuple[int, str, str | None]:
        assert self.headers["x-ms-error-code"] == self.body["error"]["code"]
        assert isinstance(self.body["error"]["details"], list)
        return self.status, self.body["error"]["code"], self.body["error"]["target"]


def request(
    method: str, url: str, *, body: object = None, headers: Mapping[str, str] | None = None, **route: str
) -> func.HttpRequest:
    parts = urlsplit(url)
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    params = dict(parse_qsl(parts.query))
    return func.HttpRequest(
        method, f"{HOST}{parts.path}", headers=headers, params=params, route_params=route, body=content
    )


async def submit(*records: object, option: str = "Overwrite", connection: str = CONNECTION, **headers: str) -> Told:
    body = {"conflictOption": option, "records": records}
    return await submit_body(body, connection=connection, **headers)


async def submit_body(body: object, *, connection: str = CONNECTION, **headers: str) -> Told:
    req = request("POST", SUBMIT, body=body, headers=headers, opusConnectionId=connection)
    return Told(await opus.submit_records(req))


async def due(query: str = "") -> Told:
    return Told(await opus.list_due_records(request("GET", f"{SUBMIT}/due?{query}", opusConnectionId=CONNECTION)))


async def destroy(body: object, query: str = "", *, key: str | None = "key-1") -> Told:
    headers = {"Idempotency-Key": key} if key else {}
    return Told(await opus.destroy_records(request("POST", f"{DESTROY}?{query}", body=body, headers=headers)))


async def operation(operation_id: str) -> Told:
    req = request("GET", f"/api/operations/{operation_id}", operationId=operation_id)
    return Told(await opus.get_operation(req))


async def operations(query: str = "") -> Told:
    return Told(await opus.list_operations(request("GET", f"/api/operations?{query}")))


def many(count: int) -> list[dict[str, str]]:
    return [RECORD | {"rowKey": f"r{number:03d}"} for number in range(count)]


async def stored(storage: Storage) -> list[str]:
    return [path for container in Container async for path in storage.list(container, "")]


class TestSubmit:
    @pytest.mark.usefixtures("app")
    async def test_a_finished_operation_is_answered_with_200(self, clock: Clock) -> None:
        told = await submit(RECORD)

        moment = clock.now.isoformat().replace("+00:00", "Z")
        assert told.status == 200
        assert told.body.pop("operationId")
        assert told.body == {
            "kind": "submit",
            "status": "Succeeded",
            "requested": 1,
            "succeeded": 1,
            "skipped": 0,
            "failed": [],
            "uncertain": [],
            "createdAt": moment,
            "finishedAt": moment,
        }

    @pytest.mark.usefixtures("app")
    async def test_when_every_item_failed_the_answer_is_422_with_the_operation(self, avepoint: Simulator) -> None:
        avepoint.avepoint.faults.add(
            [Rule.model_validate({"method": "POST", "failRowKeys": "*", "path": "/records/*"})]
        )

        told = await submit(RECORD)

        assert told.error == (422, "AllFailed", None)
        assert told.body["operation"]["failed"] == [
            {"index": 0, "id": "a", "code": "UpstreamRejected", "message": "Term not found."}
        ]
        assert "Term not found." in told.body["error"]["message"]
        again = await operation(told.body["operation"]["operationId"])
        assert (again.status, again.body) == (422, told.body)

    @pytest.mark.usefixtures("app")
    async def test_what_takes_longer_is_answered_with_202_and_where_to_ask(self, avepoint: Simulator) -> None:
        slow = {"method": "POST", "path": "/records/*", "status": 429, "headers": {"Retry-After": "60"}}
        avepoint.avepoint.faults.add([Rule.model_validate(slow)])

        told = await submit(RECORD)

        operation_id = told.body["operationId"]
        assert (told.status, told.body["status"], told.body["finishedAt"]) == (202, "Running", None)
        assert told.headers["Location"] == f"{HOST}/api/operations/{operation_id}"
        assert told.headers["Retry-After"] == "60"
        again = await operation(operation_id)
        assert (again.status, again.headers["Location"], again.body) == (202, told.headers["Location"], told.body)

    @pytest.mark.parametrize(
        ("body", "target"),
        [
            (b"", "body"),
            (b"{", "body"),
            ([], "body"),
            ({}, "conflictOption"),
            ({"conflictOption": "Maybe", "records": [RECORD]}, "conflictOption"),
            ({"conflictOption": "Skip"}, "records"),
            ({"conflictOption": "Skip", "records": []}, "records"),
            ({"conflictOption": "Skip", "records": [RECORD, {**RECORD, "rowKey": 7}]}, "records[1].rowKey"),
            ({"conflictOption": "Skip", "records": [{**RECORD, "timeCreated": "today"}]}, "records[0].timeCreated"),
            ({"conflictOption": "Skip", "records": [{**RECORD, "Column": {}}]}, "records[0].Column"),
            ({"conflictOption": "Skip", "records": [RECORD, RECORD]}, "records[1].rowKey"),
            ({"conflictOption": "Skip", "records": [RECORD], "id": "x"}, "id"),
        ],
    )
    async def test_a_bad_body_is_refused_by_place_and_nothing_is_stored(
        self, app: Services, avepoint: Simulator, body: object, target: str
    ) -> None:
        told = await submit_body(body)

        assert told.error == (400, "InvalidRequest", target)
        assert await stored(app.storage) == []
        assert avepoint.requests() == []

    @pytest.mark.usefixtures("app")
    async def test_a_connection_is_a_guid(self) -> None:
        assert (await submit(RECORD, connection="mine")).error == (400, "InvalidRequest", "opusConnectionId")

    async def test_too_many_records_are_413_with_what_to_do(self, app: Services) -> None:
        told = await submit(*many(21))

        assert told.error == (413, "TooLarge", "records")
        assert "OPUS_SUBMIT_MAX_RECORDS" in told.body["error"]["message"]
        assert await stored(app.storage) == []

    @pytest.mark.usefixtures("app")
    async def test_the_key_of_another_body_is_422(self) -> None:
        await submit(RECORD, **{"Idempotency-Key": "k"})

        told = await submit(*many(2), **{"Idempotency-Key": "k"})

        assert told.error == (422, "IdempotencyKeyReused", "Idempotency-Key")

    @pytest.mark.usefixtures("app")
    async def test_principal_headers_make_no_other_caller(self) -> None:
        one = await submit(RECORD, **{"Idempotency-Key": "k", "x-ms-client-principal-id": "one"})
        other = await submit(RECORD, **{"Idempotency-Key": "k", "x-ms-client-principal-id": "other"})

        assert one.body == other.body


class TestDue:
    @pytest.mark.usefixtures("app")
    async def test_next_links_lead_through_everything(self) -> None:
        await submit(*many(7))
        listed: list[str] = []
        query = "top=3"

        while True:
            told = await due(query)
            listed += [record["rowKey"] for record in told.body["value"]]
            if "nextLink" not in told.body:
                break
            assert told.body["nextLink"].startswith(f"{HOST}{SUBMIT}/due?")
            query = urlsplit(told.body["nextLink"]).query

        assert listed == [f"r{number:03d}" for number in range(7)]

    @pytest.mark.usefixtures("app")
    async def test_only_what_is_due_before_the_date_is_asked_for(self, avepoint: Simulator) -> None:
        await submit(RECORD)

        assert (await due("before=2020-01-15T08:29:00Z")).body == {"value": []}
        assert "disposalDueDate=2020-01-15T08%3A29%3A00" in avepoint.requests("/records/*")[-1].query

    @pytest.mark.usefixtures("app")
    @pytest.mark.parametrize(
        ("query", "target"), [("top=0", "top"), ("top=1001", "top"), ("top=x", "top"), ("before=today", "before")]
    )
    async def test_a_bad_query_is_refused(self, query: str, target: str) -> None:
        assert (await due(query)).error == (400, "InvalidRequest", target)

    @pytest.mark.usefixtures("app")
    @pytest.mark.parametrize(
        ("fault", "status", "code"),
        [
            ({"status": 429, "headers": {"Retry-After": "60"}}, 429, "Throttled"),
            ({"status": 400}, 424, "UpstreamRejected"),
            ({"status": 403}, 502, "UpstreamUnauthorized"),
            ({"body": {"queried": []}}, 502, "UpstreamFailed"),
        ],
    )
    async def test_what_is_wrong_with_avepoint_is_told(
        self, avepoint: Simulator, fault: dict[str, object], status: int, code: str
    ) -> None:
        avepoint.avepoint.faults.add([Rule.model_validate({"path": "/records/*", **fault})])

        told = await due()

        assert told.error == (status, code, None)
        assert ("Retry-After" in told.headers) == (status == 429)


class TestDestroy:
    @pytest.mark.usefixtures("app")
    async def test_a_finished_operation_is_answered_with_200(self) -> None:
        await submit(RECORD)

        told = await destroy({"ids": ["a"], "opusConnectionId": CONNECTION, "before": "2026-01-15T08:30:00"})

        assert (told.status, told.body["kind"], told.body["succeeded"]) == (200, "destroy", 1)

    @pytest.mark.usefixtures("app")
    async def test_nothing_but_uncertain_items_is_200(self, avepoint: Simulator) -> None:
        avepoint.avepoint.faults.add([Rule.model_validate({"method": "DELETE", "cut": 0})])

        told = await destroy({"ids": ["a"]})

        assert (told.status, told.body["status"]) == (200, "Uncertain")
        assert told.body["uncertain"][0].keys() == {"index", "id", "reason"}

    @pytest.mark.parametrize(
        ("body", "target"),
        [
            ({}, "ids"),
            ({"ids": []}, "ids"),
            ({"ids": ["a", ""]}, "ids[1]"),
            ({"ids": ["a", 7]}, "ids[1]"),
            ({"ids": ["a", "b", "a"]}, "ids[2]"),
            ({"ids": ["a"], "opusConnectionId": "mine"}, "opusConnectionId"),
            ({"ids": ["a"], "before": "today"}, "before"),
            ({"ids": ["a"], "befor": "2026-01-15T08:30:00Z"}, "befor"),
        ],
    )
    async def test_a_bad_body_is_refused_by_place_and_nothing_is_stored(
        self, app: Services, body: object, target: str
    ) -> None:
        assert (await destroy(body)).error == (400, "InvalidRequest", target)
        assert await stored(app.storage) == []

    async def test_without_a_key_it_is_refused(self, app: Services) -> None:
        assert (await destroy({"ids": ["a"]}, key=None)).error == (400, "InvalidRequest", "Idempotency-Key")
        assert await stored(app.storage) == []

    async def test_too_many_ids_are_413(self, app: Services) -> None:
        assert (await destroy({"ids": [str(n) for n in range(21)]})).error == (413, "TooLarge", "ids")
        assert await stored(app.storage) == []

    async def test_a_dry_run_needs_no_key_and_does_nothing(self, app: Services, avepoint: Simulator) -> None:
        told = await destroy({"ids": ["a"]}, "dryRun=true", key=None)

        url = f"{avepoint.url}/records/connector/records"
        assert told.status == 200
        assert told.body == {
            "dryRun": True,
            "requested": 1,
            "requests": [{"method": "DELETE", "url": url, "body": {"disposalIds": ["a"]}}],
        }
        assert await stored(app.storage) == []
        assert avepoint.requests() == []


class TestDestroySwitchedOff:
    @pytest.fixture
    def environ(self, environ: dict[str, str]) -> dict[str, str]:
        return environ | {"OPUS_DESTROY_ENABLED": "false"}

    async def test_it_is_403_and_says_how_to_switch_it_on(self, app: Services) -> None:
        told = await destroy({"ids": ["a"]})

        assert told.error == (403, "Forbidden", None)
        assert "OPUS_DESTROY_ENABLED" in told.body["error"]["message"]
        assert await stored(app.storage) == []

    @pytest.mark.usefixtures("app")
    async def test_a_dry_run_still_tells(self) -> None:
        assert (await destroy({"ids": ["a"]}, "dryRun=true")).status == 200


class TestOperations:
    @pytest.mark.usefixtures("app")
    async def test_they_are_listed_by_day(self, clock: Clock) -> None:
        one = await submit(RECORD)
        today = clock.now.date().isoformat()

        assert (await operations()).body == {"value": [one.body]}
        assert (await operations(f"date={today}")).body == {"value": [one.body]}
        assert (await operations("date=2020-01-15")).body == {"value": []}

    @pytest.mark.usefixtures("app")
    async def test_a_long_day_has_a_next_link(self, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("shared.opus.operations.PAGE", 2)
        began = []
        for key in "abc":
            clock.advance(seconds=1)
            began.append((await submit(RECORD, **{"Idempotency-Key": key})).body)

        first = (await operations()).body
        second = (await operations(urlsplit(first["nextLink"]).query)).body

        assert first["value"] + second["value"] == began
        assert "nextLink" not in second

    @pytest.mark.usefixtures("app")
    async def test_a_date_is_a_day(self) -> None:
        assert (await operations("date=today")).error == (400, "InvalidRequest", "date")

    @pytest.mark.usefixtures("app")
    @pytest.mark.parametrize("operation_id", ["0" * 32, "x", "../etc"])
    async def test_an_unknown_one_is_404(self, operation_id: str) -> None:
        assert (await operation(operation_id)).error == (404, "NotFound", None)


class TestQueue:
    @pytest.fixture
    def environ(self, environ: dict[str, str]) -> dict[str, str]:
        return environ | {"OPUS_SYNC_SECONDS": "0"}

    @pytest.mark.usefixtures("app")
    async def test_a_poke_carries_an_operation_on(self) -> None:
        told = await submit(RECORD)
        assert told.status == 202

        await opus.run_operation(func.QueueMessage(body=json.dumps({"operationId": told.body["operationId"]})))

        assert (await operation(told.body["operationId"])).status == 200

    @pytest.mark.usefixtures("app")
    async def test_a_poisoned_poke_ends_an_operation_with_the_reason(self) -> None:
        told = await submit(RECORD)

        await opus.run_operation_poison(func.QueueMessage(body=json.dumps({"operationId": told.body["operationId"]})))

        ended = await operation(told.body["operationId"])
        assert ended.error == (422, "AllFailed", None)
        assert "run_operation" in ended.body["operation"]["failed"][0]["message"]

    @pytest.mark.parametrize("body", ["", "x", "[]", "{}", '{"operationId": 7}', '{"operationId": "../x"}'])
    async def test_a_malformed_poke_is_dropped(
        self, app: Services, caplog: pytest.LogCaptureFixture, body: str
    ) -> None:
        await opus.run_operation(func.QueueMessage(body=body))
        await opus.run_operation_poison(func.QueueMessage(body=body))

        assert [record.__dict__["event"] for record in caplog.records] == ["operation.poke_malformed"] * 2
        assert await stored(app.storage) == []

    async def test_a_poke_for_nothing_is_dropped(self, app: Services) -> None:
        await opus.run_operation(func.QueueMessage(body=json.dumps({"operationId": "0" * 32})))

        assert await stored(app.storage) == []


def test_the_functions_have_the_names_routes_and_keys_of_the_contract() -> None:
    app = func.FunctionApp()
    app.register_functions(opus.bp)
    triggers = {
        function.get_function_name(): binding
        for function in app.get_functions()
        for binding in json.loads(function.get_function_json())["bindings"]
        if binding["direction"] == "IN"
    }

    assert {name: (each["methods"], each["route"]) for name, each in triggers.items() if "route" in each} == {
        "submit_records": (["POST"], "opus/connections/{opusConnectionId}/records"),
        "list_due_records": (["GET"], "opus/connections/{opusConnectionId}/records/due"),
        "destroy_records": (["POST"], "opus/records/destroy"),
        "list_operations": (["GET"], "operations"),
        "get_operation": (["GET"], "operations/{operationId}"),
    }
    assert {
        name: (each["queueName"], each["connection"]) for name, each in triggers.items() if "queueName" in each
    } == {
        "run_operation": ("opus-operations", "INVENTORY_STORAGE"),
        "run_operation_poison": ("opus-operations-poison", "INVENTORY_STORAGE"),
    }
    assert {each["authLevel"] for each in triggers.values() if "route" in each} == {"FUNCTION"}
