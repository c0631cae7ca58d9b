from typing import cast

import httpx
import pytest

from sandbox.avepoint.opus_legacy import DISPOSE_PATH, DUE_PATH, SUBMIT_PATH

from .conftest import Service
from .test_opus import CONNECTION, Json, stored

LATER = "2026-12-31 00:00:00"


def record(row_key: str, **changed: object) -> Json:
    times = {"timeCreated": "2026-01-15 08:30:00", "timeModified": "2026-01-15 08:30:00"}
    return {"rowKey": row_key, "leafName": "Sample record", **times, **changed}


async def submit(service: Service, *records: Json, **changed: object) -> httpx.Response:
    body = {"id": CONNECTION, "confilictOption": "Overwrite", "data": records, **changed}
    return await service.client.post(SUBMIT_PATH, json=body)


async def due(service: Service, **changed: object) -> httpx.Response:
    body = {"id": CONNECTION, "disposalDueDate": LATER, "startIndex": "", "itemsPerPage": 100, **changed}
    return await service.client.post(DUE_PATH, json=body)


async def test_submit_answers_in_pascal_case_and_names_what_failed(service: Service) -> None:
    undated = record("undated", timeCreated="2026-01-15T08:30:00")
    answer = await submit(service, record("a"), undated)

    reason = "timeCreated is not in the date and time format."
    failed = [{"Item": undated, "Message": reason}]
    assert (answer.status_code, answer.json()) == (200, {"Message": "Some records failed.", "FailedItems": failed})
    assert (await submit(service, record("b"))).json() == {"Message": "Success"}
    assert [one["rowKey"] for one in await stored(service)] == ["a", "b"]


async def test_due_records_come_page_by_page(service: Service) -> None:
    await submit(service, *[record(f"r{number}") for number in range(5)])
    listed: list[str] = []
    index = ""

    while True:
        page = (await due(service, itemsPerPage=2, startIndex=index)).json()
        assert page.keys() == {"message", "pageIndex", "queriedItems"}
        listed += [item["rowKey"] for item in page["queriedItems"]]
        index = cast("str", page["pageIndex"])
        if not index:
            break

    assert listed == [f"r{number}" for number in range(5)]


async def test_dispose_names_the_row_keys_that_failed(service: Service) -> None:
    await submit(service, record("a"))

    answer = await service.client.post(DISPOSE_PATH, json={"disposalIds": ["a", "b"]})

    assert (answer.status_code, answer.json()) == (200, {"message": "Some records failed.", "failedItems": ["b"]})
    assert [one["destroyed"] for one in await stored(service)] == [1]


@pytest.mark.parametrize("changed", [{"disposalDueDate": "2026-12-31T00:00:00"}, {"id": "x"}, {"itemsPerPage": 101}])
async def test_bad_questions_are_400(service: Service, changed: Json) -> None:
    assert (await due(service, **changed)).status_code == 400
