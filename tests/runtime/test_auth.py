"""Authorisation in the real runtime: keys are the business of the host, app roles that of the app."""

import asyncio
import json
import os
from base64 import b64encode
from collections.abc import AsyncIterator

import httpx
import pytest

from functions.http.auth import ROLES, Role
from sandbox.azurite import Azurite
from sandbox.host.process import RunningHost, running_host
from sandbox.processes import ROOT
from shared.azure.storage import Container
from shared.services import Services
from tests.conftest import Simulator, app_settings
from tests.runtime.conftest import POLL_SECONDS, own_key
from tests.runtime.programs.gateway import gateway_to
from tests.terminal import on_a_terminal

OPEN = {"health", "poll_operation", "status_page", "status_file"}

type Functions = dict[str, tuple[str, str, str]]
"""Level, method and URL of each HTTP function."""


@pytest.fixture(scope="module")
async def entra(
    azurite: Azurite, simulator: Simulator, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[RunningHost]:
    settings = app_settings(azurite, simulator) | {
        "AUTH_MODE": "entra",
        "WEBSITE_AUTH_ENABLED": "True",
        "OPUS_DESTROY_ENABLED": "true",
    }
    log = tmp_path_factory.mktemp("host") / "host.log"
    async with running_host(log=log, env={**os.environ, **settings}) as running:
        yield running


@pytest.fixture(scope="module")
async def functions(entra: RunningHost) -> Functions:
    return await http_functions(entra)


async def http_functions(host: RunningHost) -> Functions:
    """Every HTTP function, as the runtime has indexed it."""
    async with httpx.AsyncClient(headers={"x-functions-key": host.key}) as client:
        listed = (await client.get(f"{host.url}/admin/functions")).json()
    triggers = {function["name"]: (function["config"]["bindings"][0], function) for function in listed}
    return {
        name: (trigger["authLevel"], trigger["methods"][0], function["invoke_url_template"])
        for name, (trigger, function) in triggers.items()
        if trigger["type"] == "httpTrigger"
    }


def signed_in(*roles: str, as_: str = "ana") -> dict[str, str]:
    """The header that App Service Authentication sets for somebody with these app roles."""
    claims = [{"typ": "oid", "val": as_}, *({"typ": "roles", "val": role} for role in roles)]
    told = json.dumps({"auth_typ": "aad", "claims": claims, "name_typ": "name", "role_typ": "roles"})
    return {"x-ms-client-principal": b64encode(told.encode()).decode()}


async def call(functions: Functions, name: str, headers: dict[str, str], body: object = None) -> httpx.Response:
    _, method, url = functions[name]
    async with httpx.AsyncClient(timeout=40) as client:
        return await client.request(method, url, headers=headers, json=body)


async def test_with_keys_the_host_asks_for_one_whatever_headers_say(host: RunningHost) -> None:
    functions = await http_functions(host)
    assert {name for name, (level, _, _) in functions.items() if level == "ANONYMOUS"} == OPEN
    for name in functions.keys() - OPEN:
        answer = await call(functions, name, signed_in(*Role))
        assert (answer.status_code, answer.content) == (401, b""), name


async def test_a_key_opens_a_function_without_any_role(host: RunningHost) -> None:
    functions = await http_functions(host)
    answer = await call(functions, "list_datasets", {"x-functions-key": host.key} | signed_in())
    assert answer.status_code == 200


@pytest.mark.slow
async def test_the_key_of_a_function_opens_it_and_no_other(host: RunningHost) -> None:
    functions = await http_functions(host)
    keys = [own_key(name) for name in functions]
    async with httpx.AsyncClient(timeout=40) as client:
        for name in functions.keys() - OPEN:
            _, method, url = functions[name]
            answers = {key: await client.request(method, url, headers={"x-functions-key": key}) for key in keys}
            assert {key for key, answer in answers.items() if answer.status_code != 401} == {own_key(name)}, name
        for path in ("host/status", "functions"):
            answer = await client.get(
                f"{host.url}/admin/{path}", headers={"x-functions-key": own_key("health_details")}
            )
            assert answer.status_code == 401


def test_every_http_function_is_in_the_table_and_open_to_the_host(functions: Functions) -> None:
    assert functions.keys() == ROLES.keys()
    assert {name for name, roles in ROLES.items() if roles is None} == OPEN
    assert {level for level, _, _ in functions.values()} == {"ANONYMOUS"}


@pytest.mark.parametrize("name", [name for name, roles in ROLES.items() if roles])
async def test_with_entra_a_key_is_worth_nothing_and_a_role_is_asked_for(
    entra: RunningHost, functions: Functions, name: str
) -> None:
    stranger = await call(functions, name, {"x-functions-key": entra.key, "x-ms-client-principal-id": "ana"})
    assert (stranger.status_code, stranger.headers["x-ms-error-code"]) == (401, "Unauthorized")
    wanted = ROLES[name] or ()
    others = await call(functions, name, signed_in(*(role for role in Role if role not in wanted)))
    assert (others.status_code, others.headers["x-ms-error-code"]) == (403, "Forbidden")
    assert all(role in others.json()["error"]["message"] for role in wanted)
    for role in wanted:
        assert (await call(functions, name, signed_in(role))).status_code not in {401, 403}


async def test_anybody_may_ask_for_health(functions: Functions) -> None:
    assert (await call(functions, "health", {})).status_code == 200


async def test_evidence_names_who_signed_in_and_a_key_belongs_to_the_app(
    functions: Functions, services: Services
) -> None:
    ids = set()
    for who in ("ana", "ben"):
        headers = signed_in("Records.Destroy", as_=who) | {"Idempotency-Key": "one"}
        answer = await call(functions, "destroy_records", headers, {"ids": ["1"]})
        async with asyncio.timeout(120):
            while answer.status_code == httpx.codes.ACCEPTED:
                await asyncio.sleep(POLL_SECONDS)
                answer = await call(functions, "destroy_records", headers, {"ids": ["1"]})
        assert answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY, answer.text
        operation = answer.json()["operation"]
        path = f"date={operation['createdAt'][:10]}/{operation['operationId']}.json"
        evidence = await services.storage.read(Container.EVIDENCE, path)
        assert evidence is not None
        assert json.loads(evidence.data)["order"]["caller"] == "entra:ana"
        ids.add(operation["operationId"])
    assert len(ids) == 1


@pytest.mark.parametrize(
    ("variables", "status", "shown"),
    [
        ({"APP_TOKEN": "reader"}, 0, "graph/enpower-powerapps "),
        ({"APP_TOKEN": "stranger"}, 2, "needs the app role Inventory.Read"),
        ({"APP_TOKEN": "expired"}, 2, "not signed in"),
        ({"APP_KEY": "key"}, 2, "a fresh token into APP_TOKEN"),
    ],
)
async def test_a_command_asks_an_app_with_a_token(
    entra: RunningHost, variables: dict[str, str], status: int, shown: str
) -> None:
    """On a terminal, through a stand-in of App Service Authentication."""
    people = {"reader": signed_in(Role.READ), "stranger": signed_in(Role.SUBMIT)}
    principals = {token: header["x-ms-client-principal"] for token, header in people.items()}
    async with gateway_to(entra.url, principals=principals) as (_, url):
        ended, output = await on_a_terminal(ROOT / "avepoint", "datasets", "--url", url, environ=variables)
    assert (ended, shown in " ".join(output.split())) == (status, True), output
