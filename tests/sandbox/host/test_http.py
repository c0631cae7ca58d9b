import asyncio
import base64
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from sandbox.host.process import RunningHost, running_host
from tests.sandbox.host.conftest import App, write_app

APP = """
import base64

@app.route("things/{id}", methods=["GET", "POST"])
async def echo(req: func.HttpRequest) -> func.HttpResponse:
    seen = {"method": req.method, "url": req.url, "route": dict(req.route_params), "query": dict(req.params),
            "headers": dict(req.headers), "body": base64.b64encode(req.get_body()).decode()}
    return func.HttpResponse(json.dumps(seen), mimetype="application/json")

@app.route("things/special")
async def a_special_one(req: func.HttpRequest) -> str:
    return "special"

@app.route("things/{id}/more")
async def more(req: func.HttpRequest) -> str:
    return "more"

@app.route("things/special/more")
async def more_special(req: func.HttpRequest) -> str:
    return "more special"

@app.route("things/{id}", methods=["DELETE"])
async def remove(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(status_code=204)

both = threading.Barrier(2)

@app.route("open", auth_level=func.AuthLevel.ANONYMOUS)
def open_and_sync(req: func.HttpRequest) -> func.HttpResponse:
    both.wait(60)
    return func.HttpResponse("in a thread")

@app.route("teapot")
async def teapot(req: func.HttpRequest) -> func.HttpResponse:
    answer = func.HttpResponse(bytes(range(256)), status_code=418, mimetype="application/octet-stream",
                               headers={"X-Kind": "brown", "Location": "https://example.com/a?b=c"})
    answer.headers.add("Set-Cookie", "a=1; Path=/")
    answer.headers.add("Set-Cookie", "b=2; HttpOnly")
    return answer

@app.route("crash")
async def crash(req: func.HttpRequest) -> func.HttpResponse:
    raise RuntimeError("on purpose")

@app.route("stuck")
async def stuck(req: func.HttpRequest) -> func.HttpResponse:
    await asyncio.sleep(60)

@app.route("context")
async def context(req: func.HttpRequest, context: func.Context) -> str:
    return context.function_name
"""
HOST_JSON: dict[str, object] = {"functionTimeout": "00:00:01", "extensions": {"http": {"routePrefix": "v1"}}}
KEY = {"x-functions-key": "k"}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> App:
    return write_app(tmp_path_factory.mktemp("http"), APP, HOST_JSON)


@pytest.fixture(scope="module")
async def host(app: App) -> AsyncIterator[RunningHost]:
    async with running_host(app=app.path, env=app.environment(), log=app.log) as host:
        yield host


@pytest.fixture(scope="module")
async def client(host: RunningHost) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=host.url, timeout=60) as client:
        yield client


async def test_the_request_arrives_as_azure_hands_it_over(client: httpx.AsyncClient, host: RunningHost) -> None:
    path = "/v1/things/a%20b%2Fc?code=k&tag=x&tag=y&empty="
    seen: dict[str, Any] = (await client.post(path, content=b"\x00\xff", headers={"X-Mixed-Case": "V"})).json()
    assert seen["method"] == "POST"
    assert seen["url"] == host.url + path
    assert seen["route"] == {"id": "a b%2Fc"}
    assert seen["query"] == {"code": "k", "tag": "x,y"}
    assert seen["headers"]["x-mixed-case"] == "V"
    assert base64.b64decode(seen["body"]) == b"\x00\xff"


async def test_the_answer_leaves_as_the_function_gave_it(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/teapot", headers=KEY)
    assert answer.status_code == 418
    assert answer.content == bytes(range(256))
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["x-kind"] == "brown"
    assert answer.headers["location"] == "https://example.com/a?b=c"
    assert answer.headers.get_list("set-cookie") == ["a=1; Path=/", "b=2; HttpOnly"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/things/1", 200),
        ("GET", "/V1/THINGS/1", 200),
        ("GET", "/v1/things/1/", 200),
        ("GET", "/v1/things/1%0A", 200),
        ("DELETE", "/v1/things/1", 204),
        ("PUT", "/v1/things/1", 404),
        ("GET", "/v1/things", 404),
        ("GET", "/v1/things/1/less", 404),
        ("GET", "/api/things/1", 404),
        ("GET", "/", 404),
    ],
)
async def test_unknown_routes_and_other_methods_are_not_found(
    client: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    assert (await client.request(method, path, headers=KEY)).status_code == status


async def test_the_function_that_comes_first_in_the_alphabet_answers(client: httpx.AsyncClient) -> None:
    assert (await client.get("/v1/things/special", headers=KEY)).text == "special"
    assert (await client.get("/v1/things/special/more", headers=KEY)).text == "more"


async def test_the_invocation_context_is_passed(client: httpx.AsyncClient) -> None:
    assert (await client.get("/v1/context", headers=KEY)).text == "context"


@pytest.mark.parametrize("key", [{}, {"x-functions-key": "wrong"}, {"x-functions-key": "ключ".encode()}])
async def test_a_function_without_its_key_answers_401(client: httpx.AsyncClient, key: dict[str, str | bytes]) -> None:
    headers = [(name.encode(), value.encode() if isinstance(value, str) else value) for name, value in key.items()]
    answer = await client.get("/v1/teapot", headers=headers)
    assert (answer.status_code, answer.content) == (401, b"")


async def test_anonymous_and_synchronous_functions_run_side_by_side(client: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(*(client.get("/v1/open") for _ in range(2)))
    assert [answer.text for answer in answers] == ["in a thread"] * 2


async def test_a_function_that_raises_answers_500_and_the_traceback_is_logged(
    client: httpx.AsyncClient, host: RunningHost
) -> None:
    answer = await client.get("/v1/crash?secret=hidden", headers=KEY)
    assert (answer.status_code, answer.content) == (500, b"")
    log = host.process.output()
    assert "RuntimeError: on purpose" in log
    assert "Executed 'Functions.crash' (Failed, Id=" in log
    assert "hidden" not in log


async def test_an_invocation_that_exceeds_the_function_timeout_fails(
    client: httpx.AsyncClient, host: RunningHost
) -> None:
    assert (await client.get("/v1/stuck", headers=KEY)).status_code == 500
    assert "ran longer than functionTimeout" in host.process.output()


@pytest.mark.parametrize("path", ["/admin/functions", "/admin/host/status"])
async def test_admin_routes_need_the_key(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(path)).status_code == 401
    assert (await client.get(path, headers=KEY)).status_code == 200


async def test_the_functions_are_listed_with_bindings_and_url(client: httpx.AsyncClient, host: RunningHost) -> None:
    listed = {function["name"]: function for function in (await client.get("/admin/functions?code=k")).json()}
    assert set(listed) == {
        "echo",
        "a_special_one",
        "more",
        "more_special",
        "remove",
        "open_and_sync",
        "teapot",
        "crash",
        "stuck",
        "context",
    }
    assert listed["echo"]["invoke_url_template"] == f"{host.url}/v1/things/{{id}}"
    assert listed["echo"]["config"]["bindings"][0]["methods"] == ["GET", "POST"]
