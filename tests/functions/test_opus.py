"""The Opus functions as their callers see them; the host around them has its own tests."""

import json
from collections.abc import Mapping
from dataclasses import replace
from unittest.mock import AsyncMock
from urllib.parse import parse_qsl, urlencode, urlsplit

import azure.functions as func
import pytest

from functions import operations, opus
from sandbox.avepoint.faults import Rule
from shared.azure.storage import Container, Storage
from shared.opus.client.due_list import Cursor
from shared.opus.client.links import DueList
from shared.opus.operations.assembly import links_of
from shared.services import Services
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
    monkeypatch.setattr(operations, "services", opened)
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
    return func.HttpRequest(method, f"{HOST}{url}", headers=headers, params=params, route_params=route, body=content)


async def submit(*records: object, option: str = "Overwrite", connection: str = CONNECTION, **headers: str) -> Told:
    body = {"conflictOption": option, "records": records}
    return await submit_body(body, connection=connection, **headers)


async def submit_body(body: object, query: str = "", *, connection: str = CONNECTION, **headers: str) -> Told:
    req = request("POST", f"{SUBMIT}?{query}", body=body, headers=headers, opusConnectionId=connection)
    return Told(await opus.submit_records(req))


async def due(query: str = "") -> Told:
    return Told(await opus.list_due_records(request("GET", f"{SUBMIT}/due?{query}", opusConnectionId=CONNECTION)))


async def destroy(body: object, query: str = "", *, key: str | None = "key-1") -> Told:
    headers = {"Idempotency-Key": key} if key else {}
    return Told(await opus.destroy_records(request("POST", f"{DESTROY}?{query}", body=body, headers=headers)))


async def poll(location: str) -> Told:
    operation_id = urlsplit(location).path.split("/")[-2]
    return Told(await operations.poll_operation(request("GET", location.removeprefix(HOST), operationId=operation_id)))


async def resolve(operation_id: str, body: object) -> Told:
    req = request("POST", f"/api/operations/{operation_id}/resolve", body=body, operationId=operation_id)
    return Told(await operations.resolve_operation(req))


async def operation(operation_id: str) -> Told:
    req = request("GET", f"/api/operations/{operation_id}", operationId=operation_id)
    return Told(await operations.get_operation(req))


async def cancel(operation_id: str) -> Told:
    req = request("POST", f"/api/operations/{operation_id}/cancel", body=b"", operationId=operation_id)
    return Told(await operations.cancel_operation(req))


async def list_operations(query: str = "") -> Told:
    return Told(await operations.list_operations(request("GET", f"/api/operations?{query}")))


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
            "confirmed": [],
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
        assert told.headers["Location"].startswith(f"{HOST}/api/operations/{operation_id}/poll?token=")
        assert told.headers["Retry-After"] == "60"
        for again in (await operation(operation_id), await poll(told.headers["Location"])):
            assert (again.status, again.headers["Location"], again.body) == (202, told.headers["Location"], told.body)
            assert again.headers["Retry-After"] == "60"

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
            ({"conflictOption": "Skip", "records": [{**RECORD, "rowKey": 7}, 7]}, "records[0].rowKey"),
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
    async def test_a_bad_record_fails_by_field_and_rule_and_the_others_go_their_way(self) -> None:
        bad = [{**RECORD, "rowKey": "b", "timeCreated": "today", "createdBy": ""}, "c", {**RECORD, "rowKey": 4}]

        told = await submit(RECORD, *bad)

        failed = told.body["failed"]
        assert (told.status, told.body["status"], told.body["succeeded"]) == (200, "PartiallySucceeded", 1)
        assert [(one["index"], one["id"], one["code"]) for one in failed] == [
            (1, "b", "InvalidRecord"),
            (2, "", "InvalidRecord"),
            (3, "", "InvalidRecord"),
        ]
        assert failed[0]["message"].startswith("timeCreated: must be a time such as")
        assert "createdBy: " in failed[0]["message"]

    async def test_atomic_lets_one_bad_record_stand_in_the_way_of_all(self, app: Services) -> None:
        body = {"conflictOption": "Skip", "records": [RECORD, {**RECORD, "rowKey": "b", "leafName": ""}]}

        told = await submit_body(body, "atomic=true")

        assert told.error == (400, "InvalidRequest", "records[1].leafName")
        assert [one["target"] for one in told.body["error"]["details"]] == ["records[1].leafName"]
        assert await stored(app.storage) == []

    @pytest.mark.usefixtures("app")
    async def test_who_does_not_wait_gets_the_id_at_once(self, avepoint: Simulator) -> None:
        body = {"conflictOption": "Skip", "records": [RECORD]}

        told = await submit_body(body, "wait=false", **{"Idempotency-Key": "k"})

        assert (told.status, told.body["status"]) == (200, "NotStarted")
        assert avepoint.requests() == []
        await opus.run_operation(func.QueueMessage(body=json.dumps({"operationId": told.body["operationId"]})))
        assert (await submit_body(body, "wait=false", **{"Idempotency-Key": "k"})).body["status"] == "Succeeded"

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
    @pytest.mark.parametrize(
        ("name", "value"), [("top", "4"), ("before", "2020-01-15T08:30:01Z"), ("token", "x"), ("token", "x.y.z")]
    )
    async def test_a_next_link_that_was_changed_is_refused(self, name: str, value: str) -> None:
        await submit(*many(7))
        link = dict(parse_qsl(urlsplit((await due("top=3")).body["nextLink"]).query))

        told = await due(urlencode(link | {name: value}))

        assert told.error == (400, "InvalidRequest", "token")
        assert "Begin the list again" in told.body["error"]["message"]

    @pytest.mark.usefixtures("app")
    async def test_a_next_link_is_good_for_a_day(self, clock: Clock) -> None:
        await submit(*many(7))
        query = urlsplit((await due("top=3")).body["nextLink"]).query

        clock.advance(hours=23.9)
        assert (await due(query)).status == 200
        clock.advance(hours=0.2)
        assert (await due(query)).error == (400, "InvalidRequest", "token")

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

        told = await destroy({"ids": ["a"], "opusConnectionId": CONNECTION, "before": "2026-01-15T08:30:00Z"})

        assert (told.status, told.body["kind"], told.body["succeeded"]) == (200, "destroy", 1)

    @pytest.mark.usefixtures("app")
    async def test_nothing_but_uncertain_items_is_200(self, avepoint: Simulator) -> None:
        avepoint.avepoint.faults.add([Rule.model_validate({"method": "DELETE", "cut": 0})])

        told = await destroy({"ids": ["a"]})

        assert (told.status, told.body["status"]) == (200, "Uncertain")
        assert told.body["uncertain"][0].keys() == {"index", "id", "reason", "repeatable"}

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
        for query in ("", "dryRun=true"):
            told = await destroy({"ids": ["a"]}, query, key=None)
            assert told.error == (400, "InvalidRequest", "Idempotency-Key")
        assert await stored(app.storage) == []

    async def test_too_many_ids_are_413(self, app: Services) -> None:
        assert (await destroy({"ids": [str(n) for n in range(21)]})).error == (413, "TooLarge", "ids")
        assert await stored(app.storage) == []

    async def test_a_dry_run_does_nothing(self, app: Services, avepoint: Simulator) -> None:
        told = await destroy({"ids": ["a"]}, "dryRun=true")

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

    async def test_what_was_destroyed_before_is_told_again(
        self, app: Services, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        on = replace(app, settings=app.settings.model_copy(update={"opus_destroy_enabled": True}))
        monkeypatch.setattr(opus, "services", AsyncMock(return_value=on))
        first = await destroy({"ids": ["a"]})
        monkeypatch.setattr(opus, "services", AsyncMock(return_value=app))

        again, other = await destroy({"ids": ["a"]}), await destroy({"ids": ["b"]})

        assert (again.status, again.body, again.headers["Idempotent-Replayed"]) == (first.status, first.body, "true")
        assert other.error == (422, "IdempotencyKeyReused", "Idempotency-Key")

    @pytest.mark.usefixtures("app")
    async def test_a_dry_run_still_tells(self) -> None:
        assert (await destroy({"ids": ["a"]}, "dryRun=true")).status == 200


class TestOperations:
    @pytest.mark.usefixtures("app")
    async def test_they_are_listed_by_day(self, clock: Clock) -> None:
        one = await submit(RECORD)
        today = clock.now.date().isoformat()

        assert (await list_operations()).body == {"value": [one.body]}
        assert (await list_operations(f"date={today}")).body == {"value": [one.body]}
        assert (await list_operations("date=2020-01-15")).body == {"value": []}

    @pytest.mark.usefixtures("app")
    async def test_a_long_day_has_a_next_link(self, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("shared.opus.operations.progress.PAGE", 2)
        began = []
        for key in "abc":
            clock.advance(seconds=1)
            began.append((await submit(RECORD, **{"Idempotency-Key": key})).body)

        first = (await list_operations()).body
        second = (await list_operations(urlsplit(first["nextLink"]).query)).body

        assert first["value"] + second["value"] == began
        assert "nextLink" not in second

    @pytest.mark.usefixtures("app")
    async def test_a_date_is_a_day(self) -> None:
        assert (await list_operations("date=today")).error == (400, "InvalidRequest", "date")

    @pytest.mark.usefixtures("app")
    @pytest.mark.parametrize("operation_id", ["0" * 32, "x", "../etc"])
    async def test_an_unknown_one_is_404(self, operation_id: str) -> None:
        assert (await operation(operation_id)).error == (404, "NotFound", None)


class TestPoll:
    @pytest.fixture
    def environ(self, environ: dict[str, str]) -> dict[str, str]:
        return environ | {"OPUS_SYNC_SECONDS": "0"}

    @pytest.mark.usefixtures("app")
    async def test_the_last_poll_is_what_200_would_have_been(self) -> None:
        told = await submit(RECORD)
        await opus.run_operation(func.QueueMessage(body=json.dumps({"operationId": told.body["operationId"]})))

        polled = await poll(told.headers["Location"])

        assert (polled.status, polled.body["status"]) == (200, "Succeeded")
        assert polled.body == (await operation(told.body["operationId"])).body

    @pytest.mark.usefixtures("app")
    @pytest.mark.parametrize("token", ["", "x", "x.y.z", "eyJhbGciOiJub25lIn0.eyJvcGVyYXRpb24iOiIifQ."])
    async def test_without_its_token_nothing_is_told(self, token: str) -> None:
        operation_id = (await submit(RECORD)).body["operationId"]

        known = await poll(f"{HOST}/api/operations/{operation_id}/poll?token={token}")
        unknown = await poll(f"{HOST}/api/operations/{'0' * 32}/poll?token={token}")

        assert known.error == (401, "Unauthorized", None)
        assert known.body == unknown.body

    @pytest.mark.usefixtures("app")
    async def test_a_token_is_for_one_operation(self) -> None:
        one = await submit(RECORD, **{"Idempotency-Key": "one"})
        other = await submit(RECORD, **{"Idempotency-Key": "other"})
        token = urlsplit(one.headers["Location"]).query

        told = await poll(f"{HOST}/api/operations/{other.body['operationId']}/poll?{token}")

        assert told.error == (401, "Unauthorized", None)

    @pytest.mark.usefixtures("app")
    async def test_the_token_of_a_list_is_no_token_of_an_operation(self, app: Services) -> None:
        operation_id = (await submit(RECORD)).body["operationId"]
        links = links_of(app)
        token = await links.list_token(DueList(operation_id, app.clock(), 1), Cursor())

        told = await poll(f"{HOST}/api/operations/{operation_id}/poll?token={token}")

        assert told.error == (401, "Unauthorized", None)

    @pytest.mark.usefixtures("app")
    async def test_it_is_good_for_48_hours_and_says_what_to_do_then(self, clock: Clock) -> None:
        location = (await submit(RECORD)).headers["Location"]

        clock.advance(hours=47.9)
        assert (await poll(location)).status == 202
        clock.advance(hours=0.2)
        expired = await poll(location)

        assert expired.error == (401, "Unauthorized", None)
        assert "Repeat the call with the same Idempotency-Key" in expired.body["error"]["message"]


class TestResolve:
    @pytest.fixture
    async def uncertain(self, app: Services, avepoint: Simulator) -> str:
        """An operation with one uncertain item."""
        avepoint.fault(method="DELETE", cut=0)
        told = await destroy({"ids": ["a"]})
        assert told.body["status"] == "Uncertain"
        assert (await stored(app.storage)) != []
        return str(told.body["operationId"])

    async def test_what_is_uncertain_is_listed_until_a_person_has_resolved_it(self, uncertain: str) -> None:
        assert [one["operationId"] for one in (await list_operations("uncertain=true")).body["value"]] == [uncertain]

        told = await resolve(uncertain, {"outcome": "Succeeded", "note": "Seen in Opus.", "checkedBy": "Jane"})

        assert (told.status, told.body["status"], told.body["succeeded"]) == (200, "Succeeded", 1)
        assert (await operation(uncertain)).body == told.body
        assert (await list_operations("uncertain=true")).body == {"value": []}

    @pytest.mark.parametrize(
        ("body", "target"),
        [
            ({}, "outcome"),
            ({"outcome": "Perhaps", "note": "n", "checkedBy": "Jane"}, "outcome"),
            ({"outcome": "Failed", "checkedBy": "Jane"}, "note"),
            ({"outcome": "Failed", "note": "n"}, "checkedBy"),
            ({"outcome": "Failed", "note": "n", "checkedBy": "Jane", "ids": ["b"]}, "ids[0]"),
        ],
    )
    async def test_a_bad_word_is_refused(self, uncertain: str, body: object, target: str) -> None:
        assert (await resolve(uncertain, body)).error == (400, "InvalidRequest", target)

    async def test_what_was_said_is_not_taken_back(self, uncertain: str) -> None:
        word = {"outcome": "Failed", "note": "Still there.", "checkedBy": "Jane"}
        first = await resolve(uncertain, word)

        again = await resolve(uncertain, word)
        other = await resolve(uncertain, word | {"outcome": "Succeeded"})

        assert (again.status, again.body) == (200, first.body)
        assert other.error == (409, "Conflict", None)

    @pytest.mark.usefixtures("app")
    async def test_what_is_said_of_all_others_may_be_said_again(self, avepoint: Simulator) -> None:
        avepoint.fault(method="DELETE", cut=0)
        operation_id = (await destroy({"ids": ["a", "b", "c"]})).body["operationId"]
        word = {"outcome": "Failed", "note": "n", "checkedBy": "Jane"}
        await resolve(operation_id, word | {"ids": ["a", "a"]})
        others = word | {"outcome": "Succeeded"}
        first = await resolve(operation_id, others)

        again = await resolve(operation_id, others)

        assert (first.status, first.body["succeeded"], len(first.body["failed"])) == (200, 2, 1)
        assert (again.status, again.body) == (200, first.body)
        assert (await resolve(operation_id, others | {"ids": ["a", "b"]})).error == (409, "Conflict", None)

    @pytest.mark.usefixtures("app")
    async def test_only_what_is_uncertain_can_be_resolved(self) -> None:
        word = {"outcome": "Failed", "note": "n", "checkedBy": "Jane"}
        operation_id = (await submit(RECORD)).body["operationId"]

        assert (await resolve(operation_id, word)).error == (409, "Conflict", None)
        assert (await resolve("0" * 32, word)).error == (404, "NotFound", None)


class TestCancel:
    @pytest.fixture
    def environ(self, environ: dict[str, str]) -> dict[str, str]:
        return environ | {"OPUS_SYNC_SECONDS": "0"}

    @pytest.mark.usefixtures("app")
    async def test_it_answers_with_the_operation_also_where_nothing_was_sent(self) -> None:
        operation_id = (await submit(RECORD)).body["operationId"]

        first, again = await cancel(operation_id), await cancel(operation_id)

        assert (first.status, first.body["status"], first.body["failed"][0]["code"]) == (200, "Failed", "Cancelled")
        assert (again.status, again.body) == (200, first.body)
        assert (await operation(operation_id)).error == (422, "AllFailed", None)

    @pytest.mark.usefixtures("app")
    @pytest.mark.parametrize("operation_id", ["0" * 32, "x"])
    async def test_an_unknown_one_is_404(self, operation_id: str) -> None:
        assert (await cancel(operation_id)).error == (404, "NotFound", None)


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

        assert [record.__dict__["event"] for record in caplog.records] == ["operation.message_malformed"] * 2
        assert await stored(app.storage) == []

    async def test_a_poke_for_nothing_is_dropped(self, app: Services) -> None:
        await opus.run_operation(func.QueueMessage(body=json.dumps({"operationId": "0" * 32})))

        assert await stored(app.storage) == []


def test_the_functions_have_the_names_routes_and_keys_of_the_contract() -> None:
    app = func.FunctionApp()
    app.register_functions(opus.bp)
    app.register_functions(operations.bp)
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
        "poll_operation": (["GET"], "operations/{operationId}/poll"),
        "cancel_operation": (["POST"], "operations/{operationId}/cancel"),
        "resolve_operation": (["POST"], "operations/{operationId}/resolve"),
    }
    assert {
        name: (each["queueName"], each["connection"]) for name, each in triggers.items() if "queueName" in each
    } == {
        "run_operation": ("opus-operations", "INVENTORY_STORAGE"),
        "run_operation_poison": ("opus-operations-poison", "INVENTORY_STORAGE"),
    }
    levels = {name: each["authLevel"] for name, each in triggers.items() if "route" in each}
    assert levels.pop("poll_operation") == "ANONYMOUS"
    assert set(levels.values()) == {"FUNCTION"}
