"""Any JSON and any bytes, sent to every route: what comes back is an answer of the contract, and never a fault."""

import asyncio
import json
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandbox.host.process import RunningHost
from tools.connector.routes import routes

CONNECTION = "b4bbdbbd-cf2d-5c44-939b-be86bc688035"
EXAMPLES = {"POST": 15, "GET": 4}
NAMES = st.sampled_from(
    ["source", "datasets", "records", "conflictOption", "ids", "before", "outcome", "note", "value"]
)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["graph", "Skip", "Failed"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES | st.text(), inner, max_size=5),
    max_leaves=12,
)
BODIES = st.binary() | JSON.map(lambda value: json.dumps(value).encode())
ROUTES = [(route.method, route.path) for route in routes()]


pytestmark = pytest.mark.slow


@pytest.fixture
def calling(host: RunningHost) -> httpx.Client:
    return httpx.Client(base_url=f"{host.url}/api/", headers={"x-functions-key": host.key}, timeout=60)


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.usefixtures("services")
async def test_a_route_answers_by_the_contract(calling: httpx.Client, method: str, path: str) -> None:
    filled = path.replace("{opusConnectionId}", CONNECTION).replace("{source}", "graph")
    filled = filled.replace("{", "").replace("}", "")

    @settings(max_examples=EXAMPLES[method], deadline=None, suppress_health_check=list(HealthCheck))
    @given(body=BODIES, query=st.text(max_size=20))
    def answered(body: bytes, query: str) -> None:
        headers = {"Idempotency-Key": "any-body", "Content-Type": "application/json"}
        answer = calling.request(method, filled, params={query: "1"} if query else {}, content=body, headers=headers)
        assert answer.status_code < 500 or answer.status_code == 503, answer.text
        if answer.status_code >= 400 and answer.content:
            assert answer.headers["x-ms-error-code"] == answer.json()["error"]["code"]
            assert len(answer.content) < 20_000

    with calling:
        await asyncio.to_thread(answered)  # the simulated AvePoint answers on this thread
