import time
from collections.abc import Mapping

import httpx
import pytest

from .conftest import Service

POWER_APPS = "/smp/powerplatform/powerapps"
FAULTS = "/_sandbox/faults"

type Json = Mapping[str, object]


async def set_rule(service: Service, **rule: object) -> None:
    answer = await service.client.post(FAULTS, json=[rule])
    assert answer.status_code == 200, answer.text


async def statuses(service: Service, count: int) -> list[int]:
    return [(await service.client.get(POWER_APPS)).status_code for _ in range(count)]


async def test_a_fault_strikes_once_with_the_error_body_of_the_service(service: Service) -> None:
    await set_rule(service, path="/aos/*", status=503, headers={"Retry-After": "7"})
    struck = await service.client.get("/aos/jobs")
    assert struck.status_code == 503
    assert struck.headers["retry-after"] == "7"
    assert struck.json().keys() == {"traceId", "error", "statusCode"}
    assert (await service.client.get("/aos/jobs")).status_code == 200


async def test_faults_skip_and_repeat_as_told(service: Service) -> None:
    await set_rule(service, method="GET", path=POWER_APPS, status=429, skip=1, times=2)
    assert await statuses(service, 5) == [200, 429, 429, 200, 200]


async def test_a_fault_without_end_lasts_until_cleared(service: Service) -> None:
    await set_rule(service, status=500, times=None)
    assert await statuses(service, 3) == [500, 500, 500]
    assert (await service.client.delete(FAULTS)).status_code == 204
    assert await statuses(service, 1) == [200]


async def test_faults_strike_the_method_and_path_they_name_only(service: Service) -> None:
    await set_rule(service, method="POST", status=500)
    await set_rule(service, path="/connect/*", status=500)
    assert await statuses(service, 1) == [200]
    assert (await service.token("audit.read.all")).status_code == 500


@pytest.mark.parametrize(
    ("body", "text"), [("<html>sorry</html>", "<html>sorry</html>"), ({"value": []}, '{"value":[]}'), (None, "null")]
)
async def test_a_body_replaces_the_answer(service: Service, body: object, text: str) -> None:
    await set_rule(service, body=body, headers={"Content-Type": "text/html"})
    answer = await service.client.get(POWER_APPS)
    assert (answer.status_code, answer.text, answer.headers["content-type"]) == (200, text, "text/html")


async def test_no_content_has_no_body(service: Service) -> None:
    await set_rule(service, status=204)
    answer = await service.client.get(POWER_APPS)
    assert (answer.status_code, answer.content) == (204, b"")


async def test_headers_alone_are_added_to_the_true_answer(service: Service) -> None:
    await set_rule(service, headers={"X-Extra": "1"})
    answer = await service.client.get(POWER_APPS)
    assert answer.headers["x-extra"] == "1"
    assert len(answer.json()["powerApps"]) == 100


async def test_latency_of_a_rule_comes_on_top(service: Service) -> None:
    await service.client.post(FAULTS, json={"latencyMs": 30, "rules": [{"latencyMs": 40}]})
    taken = []
    for _ in range(2):
        started = time.perf_counter()
        await service.client.get("/aos/jobs", params={"top": 1})
        taken.append(time.perf_counter() - started)
    assert taken[0] > 0.07
    assert taken[1] > 0.03


async def test_a_connection_can_be_closed_before_any_answer(service: Service) -> None:
    await set_rule(service, path=POWER_APPS, cut=0)
    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        await service.client.get(POWER_APPS)
    assert service.avepoint.log.entries(POWER_APPS)[0].status is None
    assert await statuses(service, 1) == [200]


async def test_a_connection_can_be_closed_within_the_body(service: Service) -> None:
    await set_rule(service, path=POWER_APPS, cut=1000)
    with pytest.raises(httpx.RemoteProtocolError, match="received 1000 bytes"):
        await service.client.get(POWER_APPS, headers={"accept-encoding": "identity"})


async def test_a_gzip_body_can_end_early_in_a_proper_answer(service: Service) -> None:
    await set_rule(service, truncateGzip=True)
    async with service.client.stream("GET", POWER_APPS) as answer:
        raw = b"".join([chunk async for chunk in answer.aiter_raw()])
    whole = (await service.client.get(POWER_APPS)).headers["content-length"]
    assert len(raw) == int(answer.headers["content-length"]) == int(whole) // 2


@pytest.mark.parametrize("link", ["https://elsewhere.example/next", None, ""])
async def test_a_next_link_can_be_replaced(service: Service, link: str | None) -> None:
    await set_rule(service, nextLink=link)
    assert (await service.client.get(POWER_APPS)).json()["nextLink"] == link


async def test_items_and_total_can_differ_for_a_request(service: Service) -> None:
    await set_rule(service, items=3, total=500)
    body = (await service.client.get(POWER_APPS)).json()
    assert (len(body["powerApps"]), body["totalCount"], body["nextLink"]) == (3, 500, "")


async def test_settings_change_and_come_back(service: Service) -> None:
    await service.client.post(FAULTS, json={"items": {"aos-jobs": 3}, "endMarker": "null"})
    await service.client.post(FAULTS, json={"items": {"enpower-agents": 4}})
    assert (await service.client.get("/aos/jobs")).json()["totalCount"] == 3
    assert (await service.client.get(POWER_APPS)).json()["totalCount"] == 250
    await service.client.delete(FAULTS)
    assert (await service.client.get("/aos/jobs")).json()["totalCount"] == 250


async def test_what_is_left_of_the_faults_is_listed(service: Service) -> None:
    await set_rule(service, path=POWER_APPS, status=500, times=3, skip=1)
    await statuses(service, 2)
    listed = (await service.client.get(FAULTS)).json()
    rule = {"path": POWER_APPS, "status": 500, "times": 3, "skip": 1, "remaining": 2, "toSkip": 0}
    assert listed["rules"] == [rule]
    assert listed["items"] == {"*": 250}


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ([{"statsu": 500}], "0.statsu"),
        ([{"status": 99}], "0.status"),
        ({"latency": 5}, "latency"),
        ({"items": {"no-such-list": 5}}, "no-such-list"),
        ({"linkShape": "crooked"}, "linkShape"),
        ("all of them", "list"),
    ],
)
async def test_what_is_not_understood_is_400_and_named(service: Service, document: object, named: str) -> None:
    answer = await service.client.post(FAULTS, json=document)
    assert answer.status_code == 400
    assert named in answer.json()["error"]


async def test_malformed_faults_are_400(service: Service) -> None:
    for body in (b"{", b"\xff", b""):
        assert (await service.client.post(FAULTS, content=body)).status_code == 400


async def test_the_log_shows_what_was_asked_but_no_secret(service: Service) -> None:
    await service.token("audit.read.all")
    headers = {"client-request-id": "mine"}
    await service.client.get(POWER_APPS, params={"top": 7}, headers=headers)
    await service.client.get("/aos/jobs")
    await service.client.post("/connect/token", params={"client_secret": "hush"})
    log = await service.client.get("/_sandbox/log")
    assert [entry["path"] for entry in log.json()] == ["/connect/token", POWER_APPS, "/aos/jobs", "/connect/token"]
    [entry] = (await service.client.get("/_sandbox/log", params={"path": "/smp/*"})).json()
    assert entry == {
        "time": service.clock.now,
        "method": "GET",
        "path": POWER_APPS,
        "query": "top=7",
        "status": 200,
        "clientRequestId": "mine",
        "resource": "enpower-powerapps",
        "items": 7,
    }
    token = service.client.headers["authorization"].removeprefix("Bearer ")
    assert token not in log.text
    assert "hush" not in log.text
    assert (await service.client.delete("/_sandbox/log")).status_code == 204
    assert (await service.client.get("/_sandbox/log")).json() == []


async def test_items_of_any_stretch_are_shown(service: Service) -> None:
    answer = await service.client.get("/_sandbox/items/aos-jobs", params={"from": 999_998, "count": 2})
    assert answer.content == b"[%b,%b]" % tuple(service.avepoint.item("aos-jobs", n) for n in (999_998, 999_999))
    assert (await service.client.get("/_sandbox/items/aos-jobs", params={"from": "x"})).status_code == 400
    assert (await service.client.get("/_sandbox/items/nothing")).status_code == 404


async def test_the_sandbox_routes_need_no_token(service: Service) -> None:
    for path in ("faults", "log", "items/aos-jobs", "opus"):
        assert (await service.client.get(f"/_sandbox/{path}", headers={"authorization": ""})).status_code == 200
