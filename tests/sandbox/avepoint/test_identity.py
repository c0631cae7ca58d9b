import httpx
import pytest

from sandbox.avepoint import AvePoint, serve

from .conftest import TOKEN_FORM, Service

POWER_APPS = "/smp/powerplatform/powerapps"
ENPOWER = "enpower.data.read.all"


async def test_token_answer_has_the_documented_fields(service: Service) -> None:
    answer = (await service.token(f"{ENPOWER} records.readwrite.all")).json()
    assert answer.pop("access_token")
    assert answer == {"expires_in": 3600, "token_type": "Bearer", "scope": f"{ENPOWER} records.readwrite.all"}


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"client_secret": "wrong"}, "invalid_client"),
        ({"client_id": ""}, "invalid_client"),
        ({"scope": "no.such.scope"}, "invalid_scope"),
        ({"scope": ""}, "invalid_scope"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
    ],
)
async def test_bad_token_requests_are_refused_by_name(service: Service, changed: dict[str, str], error: str) -> None:
    answer = await service.client.post("/connect/token", data={**TOKEN_FORM, "scope": ENPOWER, **changed})
    assert (answer.status_code, answer.json()) == (400, {"error": error})


@pytest.mark.parametrize("body", [b"%ff%fe", b"\xff\xfe=1", b"just text", b""])
async def test_malformed_forms_are_refused(service: Service, body: bytes) -> None:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    assert (await service.client.post("/connect/token", content=body, headers=headers)).status_code == 400


async def test_json_token_requests_are_refused(service: Service) -> None:
    assert (await service.client.post("/connect/token", json=TOKEN_FORM)).json() == {"error": "invalid_request"}


async def test_any_client_is_let_in_where_no_credentials_are_set() -> None:
    async with serve(AvePoint()) as url, httpx.AsyncClient(base_url=url) as client:
        form = {**TOKEN_FORM, "client_id": "anyone", "client_secret": "anything", "scope": ENPOWER}
        assert (await client.post("/connect/token", data=form)).status_code == 200


async def test_tokens_expire(service: Service) -> None:
    await service.client.post("/_sandbox/faults", json={"tokenSeconds": 10})
    service.use_token_for(ENPOWER)
    service.clock.now += 9
    assert (await service.client.get(POWER_APPS)).status_code == 200
    service.clock.now += 1
    assert (await service.client.get(POWER_APPS)).status_code == 401


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer forged", "Basic bWU6aHVzaA=="])
async def test_calls_without_a_good_token_are_401(service: Service, header: str) -> None:
    answer = await service.client.get(POWER_APPS, headers={"authorization": header})
    assert answer.status_code == 401
    assert answer.headers["request-id"]


async def test_another_scope_is_403(service: Service) -> None:
    service.use_token_for("audit.read.all")
    assert (await service.client.get(POWER_APPS)).status_code == 403


async def test_scopes_are_compared_without_case(service: Service) -> None:
    service.use_token_for("EnPower.Data.Read.All")
    assert (await service.client.get(POWER_APPS)).status_code == 200


@pytest.mark.parametrize("scope", ["elements.bm.tenant.read.all", "elements.bm.tenant.readwrite.all"])
async def test_any_of_the_alternative_scopes_will_do(service: Service, scope: str) -> None:
    service.use_token_for(scope)
    assert (await service.client.post("/partner/external/v3/bm/tenants/batch", json={})).status_code == 200


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/smp/api/v1/powerplatform/powerapps", {"Status", "Message", "Content"}),
        ("/aos/jobs", {"traceId", "error", "statusCode"}),
        ("/insights/users/summary", {"status", "message"}),
        ("/backup/m365/cloudbackupjobs", {"statusCode", "message", "errors", "requestId", "timestamp", "traceId"}),
        ("/records/connector/records", {"statusCode", "message"}),
    ],
)
async def test_error_bodies_are_those_of_the_service(service: Service, path: str, fields: set[str]) -> None:
    answer = await service.client.get(path, headers={"authorization": ""})
    assert answer.status_code == 401
    assert answer.json().keys() == fields
