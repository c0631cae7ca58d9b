"""Bodies are read once and wholly: bounded, in one encoding, with each name once."""

import json
import re
import time
from collections.abc import Mapping

import azure.functions as func
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from functions.harvest_request import StartHarvest
from functions.http.bodies import LARGEST_BODY, Most, parse_body
from functions.http.error_responses import LengthRequired, error_response
from shared.errors import AppError, InvalidInput, TooLarge
from shared.opus.intake.inputs import DestroyInput

LIMITS = {"ids": Most(5, "OPUS_DESTROY_MAX_IDS")}


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid")

    ids: list[str]
    number: float | None = None


def request(body: bytes, headers: Mapping[str, str] | None = None) -> func.HttpRequest:
    return func.HttpRequest("POST", "https://app.example/api/x", headers=headers, body=body)


async def refused(body: bytes, headers: Mapping[str, str] | None = None) -> AppError:
    with pytest.raises(AppError) as caught:
        await parse_body(Body, request(body, headers), most=LIMITS)
    return caught.value


async def test_a_byte_order_mark_is_ignored() -> None:
    assert (await parse_body(Body, request(b'\xef\xbb\xbf{"ids": ["\xc3\xa9"]}'))).ids == ["é"]


@pytest.mark.parametrize(
    ("body", "headers", "named"),
    [
        ('{"ids": []}'.encode("utf-16"), {}, "UTF-16"),
        ('{"ids": []}'.encode("utf-16-le"), {}, "UTF-16"),
        ('{"ids": []}'.encode("utf-32"), {}, "UTF-32"),
        ('{"ids": []}'.encode("utf-16"), {"Content-Type": "application/json; charset=utf-16"}, "'utf-16'"),
        (b'{"ids": ["\xe9"]}', {"Content-Type": "application/json; charset=iso-8859-1"}, "'iso-8859-1'"),
        (b'{"ids": ["\xe9"]}', {}, "not UTF-8"),
        (b"\x1f\x8b", {"Content-Encoding": "gzip"}, "'gzip'"),
    ],
)
async def test_another_encoding_is_named(body: bytes, headers: Mapping[str, str], named: str) -> None:
    error = await refused(body, headers)
    assert isinstance(error, InvalidInput)
    assert (error.target, named in str(error)) == ("body", True), str(error)


@pytest.mark.parametrize(
    "body",
    [
        b'{"ids": ["a"], "ids": ["b"]}',
        b'{"ids": [], "number": {"ids": 1, "ids": 2}}',
    ],
)
async def test_a_name_that_stands_twice_is_refused(body: bytes) -> None:
    error = await refused(body)
    assert isinstance(error, InvalidInput)
    assert error.target == "ids"


async def test_items_are_counted_before_they_are_validated() -> None:
    error = await refused(json.dumps({"ids": [0] * 6}).encode())
    assert isinstance(error, TooLarge)
    assert (error.target, "OPUS_DESTROY_MAX_IDS" in error.remedy) == ("ids", True)


@pytest.mark.parametrize(
    "body",
    [
        b'{"ids": ["' + b"x" * LARGEST_BODY + b'"]}',
        b'{"ids": [' + b"{}," * 5_000_000 + b"{}]}",
        b'{"ids": [' + b"[]," * 5_000_000 + b"[]]}",
        b'{"ids": [' + b"0," * 8_000_000 + b"0]}",
        b"{" + b",".join(b'"%d": 0' % number for number in range(100_000)) + b"}",
        b'{"x": [' + b"0," * 100_000 + b"0]}",
    ],
    ids=["bytes", "objects", "lists", "numbers", "names", "a list nobody wants"],
)
async def test_the_worst_bodies_are_refused_soon(body: bytes) -> None:
    begun = time.process_time()
    assert isinstance(await refused(body), TooLarge)
    assert time.process_time() - begun < 2


@pytest.mark.parametrize(
    "body", [b"", b" ", b"{", b"[" * 100_000, b'{"ids": NaN}', b'{"number": 1e999}', b'{"number": ' + b"9" * 400 + b"}"]
)
async def test_what_is_not_json_is_refused(body: bytes) -> None:
    error = await refused(body)
    assert isinstance(error, InvalidInput)
    assert error.target == "body"


async def test_a_body_that_the_host_dropped_is_411() -> None:
    error = await refused(b"", {"Transfer-Encoding": "chunked"})
    assert isinstance(error, LengthRequired)
    answer = error_response(error)
    assert (answer.status_code, answer.headers["x-ms-error-code"]) == (411, "LengthRequired")


async def test_an_error_has_twenty_details_and_texts_that_end() -> None:
    body = json.dumps({"ids": [0] * 900, "x" * 10_000: 1}).encode()
    with pytest.raises(InvalidInput) as caught:
        await parse_body(Body, request(body))
    answer = error_response(caught.value)
    error = json.loads(answer.get_body())["error"]
    assert len(error["details"]) == 20
    assert len(answer.get_body()) < 20_000


@given(st.binary())
async def test_any_bytes_are_taken_or_refused(body: bytes) -> None:
    try:
        await parse_body(Body, request(body), most=LIMITS)
    except InvalidInput as error:
        assert len(error_response(error).get_body()) < 20_000  # noqa: PT017 - either of the two is right


@pytest.mark.parametrize(
    ("model", "body", "message"),
    [
        (DestroyInput, {"ids": ["a", " "]}, "ids[1]: must not be blank"),
        (
            StartHarvest,
            {"source": "graph", "window": {"from": "2026-01-01T00:00:00", "to": "2026-01-02T00:00:00Z"}},
            "window.from: a time needs its zone: Z, or an offset such as +01:00",
        ),
    ],
)
async def test_a_field_that_breaks_a_rule_is_told_the_rule(
    model: type[BaseModel], body: dict[str, object], message: str
) -> None:
    with pytest.raises(InvalidInput, match=f"^{re.escape(message)}$"):
        await parse_body(model, request(json.dumps(body).encode()))
