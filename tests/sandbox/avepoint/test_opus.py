from typing import cast

import httpx
import pytest

from .conftest import Service

RECORDS = "/records/connector/records"
CONNECTION = "b4bbdbbd-cf2d-5c44-939b-be86bc688035"
ELSEWHERE = "0c947b70-7d7f-4838-a6e4-e3a5424b156b"

type Json = dict[str, object]


def record(row_key: str, **changed: object) -> Json:
    return {
        "rowKey": row_key,
        "leafName": "Sample record",
        "termFullPath": "Connector/Sample-termset/Sample-term",
        "timeCreated": "2026-01-15 08:30:00",
        "timeModified": "2026-01-15T09:30:00Z",
        "createdBy": "user01",
        "modifiedBy": "user01",
        **changed,
    }


async def submit(service: Service, *records: Json, **changed: object) -> httpx.Response:
    body = {"id": CONNECTION, "conflictOption": "Overwrite", "data": records, **changed}
    return await service.client.post(RECORDS, json=body)


async def due(service: Service, **changed: object) -> httpx.Response:
    query = {"id": CONNECTION, "disposalDueDate": "2026-12-31T00:00:00", "itemsPerPage": 100, **changed}
    return await service.client.get(RECORDS, params=cast("dict[str, str]", query))


async def destroy(service: Service, *row_keys: str) -> httpx.Response:
    return await service.client.request("DELETE", RECORDS, json={"disposalIds": row_keys})


async def due_keys(service: Service, **changed: object) -> list[str]:
    return [item["rowKey"] for item in (await due(service, **changed)).json()["queriedItems"]]


async def stored(service: Service) -> list[Json]:
    return cast("list[Json]", (await service.client.get("/_sandbox/opus")).json()["records"])


async def test_submitted_records_are_due_and_can_be_destroyed_once(service: Service) -> None:
    submitted = await submit(service, record("a"), record("b"))
    assert (submitted.status_code, submitted.json()) == (201, {"statusCode": 201, "message": None})
    assert await due_keys(service) == ["a", "b"]

    destroyed = await destroy(service, "a")
    assert (destroyed.status_code, destroyed.json()) == (200, {"statusCode": 200, "message": None})
    assert await due_keys(service) == ["b"]

    again = await destroy(service, "a")
    reason = "No record with this row key is due for disposal."
    assert again.status_code == 418
    assert again.json()["failedItems"] == [{"item": "a", "message": reason}]
    assert [(one["rowKey"], one["state"], one["destroyed"]) for one in await stored(service)] == [
        ("a", "destroyed", 1),
        ("b", "active", 0),
    ]


async def test_due_records_look_as_documented(service: Service) -> None:
    await submit(service, record("a", Custom_Column="[1,3]"))
    assert (await due(service)).json() == {
        "startIndex": None,
        "statusCode": 200,
        "queriedItems": [
            record("a", timeCreated="2026-01-15 08:30:00 ", timeModified="2026-01-15 09:30:00 "),
        ],
    }


@pytest.mark.parametrize("spelling", ["conflictOption", "confilictOption"])
async def test_skip_keeps_and_overwrite_replaces(service: Service, spelling: str) -> None:
    await submit(service, record("a", leafName="old"))
    body = {"id": CONNECTION, "data": [record("a", leafName="new")]}
    for option, name in (("Skip", "old"), ("Overwrite", "new")):
        assert (await service.client.post(RECORDS, json={**body, spelling: option})).status_code == 201
        assert (await due(service)).json()["queriedItems"][0]["leafName"] == name
    [kept] = await stored(service)
    assert (kept["submitted"], kept["skipped"]) == (2, 1)


async def test_a_partly_failed_submit_stores_the_rest(service: Service) -> None:
    bad = {**record("bad"), "createdBy": ""}
    undated = record("undated", timeCreated="yesterday")
    answer = await submit(service, record("good"), bad, undated)
    assert answer.status_code == 418
    assert answer.json() == {
        "statusCode": 418,
        "message": "Some records failed.",
        "failedItems": [
            {"item": bad, "message": "createdBy is required."},
            {"item": undated, "message": "timeCreated is not a date and time."},
        ],
    }
    assert await due_keys(service) == ["good"]


async def test_row_keys_can_be_made_to_fail(service: Service) -> None:
    await service.client.post("/_sandbox/faults", json=[{"failRowKeys": "b*", "times": 2}])
    assert [one["item"]["rowKey"] for one in (await submit(service, record("a"), record("b1"))).json()["failedItems"]]
    assert (await destroy(service, "a", "b1")).json()["failedItems"][0]["item"] == "b1"
    [kept] = await stored(service)
    assert kept["state"] == "destroyed"


async def test_due_records_come_in_pages_that_survive_destruction(service: Service) -> None:
    for start in (0, 10):
        await submit(service, *[record(f"r{number:02}") for number in range(start, start + 10)])
    first = (await due(service, itemsPerPage=8)).json()
    await destroy(service, *[item["rowKey"] for item in first["queriedItems"]])
    second = (await due(service, itemsPerPage=8, startIndex=first["startIndex"])).json()
    third = (await due(service, itemsPerPage=8, startIndex=second["startIndex"])).json()
    keys = [item["rowKey"] for page in (first, second, third) for item in page["queriedItems"]]
    assert keys == [f"r{number:02}" for number in range(20)]
    assert third["startIndex"] is None


async def test_only_records_of_the_connection_that_are_due_by_the_date_are_listed(service: Service) -> None:
    await submit(service, record("early"), record("late", timeCreated="2026-06-01 00:00:00"))
    await submit(service, record("other"), id=ELSEWHERE)
    assert await due_keys(service, disposalDueDate="2026-01-15 08:30:00") == ["early"]
    assert await due_keys(service, disposalDueDate="2026-01-15 08:29:59") == []
    assert await due_keys(service, id=ELSEWHERE) == ["other"]
    await service.client.post("/_sandbox/faults", json={"retentionDays": 365})
    assert await due_keys(service) == []
    assert await due_keys(service, disposalDueDate="2027-01-16") == ["early"]


async def test_records_not_yet_due_are_not_destroyed(service: Service) -> None:
    await submit(service, record("future", timeCreated="2030-01-01"))
    assert (await destroy(service, "future")).status_code == 418


async def test_a_row_key_is_destroyed_in_every_connection(service: Service) -> None:
    await submit(service, record("a"))
    await submit(service, record("a"), id=ELSEWHERE)
    assert (await destroy(service, "a")).status_code == 200
    assert [one["destroyed"] for one in await stored(service)] == [1, 1]


@pytest.mark.parametrize(
    "changed",
    [
        {"data": [record(str(number)) for number in range(16)]},
        {"data": []},
        {"data": "a"},
        {"data": ["a"]},
        {"id": "no-guid"},
        {"conflictOption": "Merge"},
    ],
)
async def test_bad_submits_are_400_and_store_nothing(service: Service, changed: Json) -> None:
    assert (await submit(service, record("a"), **changed)).status_code == 400
    assert await stored(service) == []


@pytest.mark.parametrize(
    "changed",
    [
        {"id": ""},
        {"disposalDueDate": ""},
        {"disposalDueDate": "0001-01-01T00:00:00+14:00"},
        {"itemsPerPage": 101},
        {"itemsPerPage": ""},
        {"startIndex": "x"},
    ],
)
async def test_bad_questions_for_due_records_are_400(service: Service, changed: Json) -> None:
    assert (await due(service, **changed)).status_code == 400


async def test_itemsperpage_is_required_in_any_spelling_and_may_be_0(service: Service) -> None:
    await submit(service, record("a"))
    query = {"id": CONNECTION, "disposalDueDate": "2026-12-31"}
    assert (await service.client.get(RECORDS, params=query)).status_code == 400
    answer = await service.client.get(RECORDS, params={**query, "itemsPerpage": "0"})
    assert (answer.json()["queriedItems"], answer.json()["startIndex"]) == ([], None)


async def test_bad_destroys_are_400(service: Service) -> None:
    assert (await destroy(service, *map(str, range(16)))).status_code == 400
    assert (await destroy(service)).status_code == 400
    for body in (b"", b"{", b'{"disposalIds": [1]}', b'{"a":' * 50_000):
        assert (await service.client.request("DELETE", RECORDS, content=body)).status_code == 400


@pytest.mark.parametrize(("execute", "count"), [(False, 0), (True, 1)])
@pytest.mark.parametrize("fault", [{"cut": 0}, {"status": 500}])
async def test_a_destroy_whose_answer_is_lost_may_have_been_carried_out(
    service: Service, fault: Json, *, execute: bool, count: int
) -> None:
    await submit(service, record("a"))
    await service.client.post("/_sandbox/faults", json=[{**fault, "method": "DELETE", "execute": execute}])
    if "cut" in fault:
        with pytest.raises(httpx.RemoteProtocolError):
            await destroy(service, "a")
    else:
        assert (await destroy(service, "a")).status_code == 500
    assert [one["destroyed"] for one in await stored(service)] == [count]


async def test_what_was_carried_out_is_kept_in_order(service: Service) -> None:
    await submit(service, record("a"), {**record("b"), "leafName": ""})
    await destroy(service, "a", "c")
    executions = (await service.client.get("/_sandbox/opus")).json()["executions"]
    assert [(one["operation"], one["rowKeys"], one["failed"]) for one in executions] == [
        ("submit", ["a", "b"], ["b"]),
        ("destroy", ["a", "c"], ["c"]),
    ]


async def test_opus_needs_its_scope(service: Service) -> None:
    service.use_token_for("enpower.data.read.all")
    answers = [await submit(service, record("a")), await due(service), await destroy(service, "a")]
    assert [answer.status_code for answer in answers] == [403, 403, 403]
