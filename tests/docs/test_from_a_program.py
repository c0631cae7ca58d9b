"""docs/from-a-program.md names methods, paths, parameters, headers and fields that the description has.

Two of its programs are run, in tests/runtime/programs; of the others this is what can be held without their compilers.
"""

import json
import re
from collections.abc import Iterator

import pytest

from sandbox.processes import ROOT
from tests.docs.fences import fences
from tools.connector.schemas import Schema
from tools.openapi.document import FILES

PAGE = ROOT / "docs" / "from-a-program.md"
PROGRAMS = {fence.info[0]: fence.body for fence in fences(PAGE)}
DOCUMENT = json.loads(FILES[0].read_text())
SCHEMAS = DOCUMENT["components"]["schemas"]
CALL = re.compile(r"""["'](GET|POST)["'],?\s+f?\$?["'`]([^"'`]+)["'`]""")
PAGED = re.compile(r"""[Pp]ages(?:<[^(]*>)?[( ]f?\$?["'`]([^"'`]+)["'`]""")
HEADER = re.compile(r"""["'](x-[a-z-]+|[A-Z]\w*-[\w-]+|Location)["']""")
CARRIED_OUT = {"startHarvest", "listDatasets", "listItems", "submitRecords", "listDueRecords", "destroyRecords"}
FIELDS = {
    "python": (r"""\["([a-z]\w*)"\]""", r"""\.get\("([a-z]\w*)\"""", r""""([a-z]\w*)":"""),
    "typescript": (
        r"""\b(?:run|table|page|body|item|one|submitted|destroyed|error)\??\.([a-z]\w*)""",
        r"""\b([a-z]\w+): ["`]""",
    ),
    "csharp": (r"""\["(\w+)"\]""",),
    "powershell": (r"""\.([a-z]\w*)\b(?![('"/])""", r"""[{;]\s*([a-z]\w+)\s*= """, r"""(?m)^ +([a-z]\w+) += """),
}


def operations(body: str) -> Iterator[tuple[Schema, set[str]]]:
    """Every operation that a program calls, with the names in its query."""
    calls = [(method, url) for method, url in CALL.findall(body)] + [("GET", url) for url in PAGED.findall(body)]
    for method, url in calls:
        path, _, query = re.sub(r"\$?\{\w+\}|\$\w+", "-", url).partition("?")
        (operation,) = [
            methods[method.lower()]
            for template, methods in DOCUMENT["paths"].items()
            if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), f"/{path}") and method.lower() in methods
        ]
        yield operation, set(re.findall(r"(\w+)=", query))


def properties(node: object) -> Iterator[str]:
    """Every name of a property in a document."""
    if isinstance(node, dict):
        yield from node.get("properties", {})
        for inner in node.values():
            yield from properties(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from properties(inner)


def fields(language: str) -> set[str]:
    return {name for pattern in FIELDS[language] for name in re.findall(pattern, PROGRAMS[language])}


def headers() -> set[str]:
    """Every header that is sent or answered."""
    found = {DOCUMENT["components"]["securitySchemes"]["functionKey"]["name"], "Content-Type"}
    answers = list(DOCUMENT["components"]["responses"].values())
    for methods in DOCUMENT["paths"].values():
        for operation in methods.values():
            found |= {one["name"] for one in operation["parameters"] if one["in"] == "header"}
            answers += operation["responses"].values()
    return found | {name for answer in answers for name in answer.get("headers", {})}


def test_there_is_a_program_in_each_language() -> None:
    assert PROGRAMS.keys() == FIELDS.keys()


@pytest.mark.parametrize("language", FIELDS)
class TestPrograms:
    def test_every_step_is_there_and_calls_what_there_is(self, language: str) -> None:
        called = list(operations(PROGRAMS[language]))
        assert {operation["operationId"] for operation, _ in called} == CARRIED_OUT
        for operation, query in called:
            assert query <= {one["name"] for one in operation["parameters"] if one["in"] == "query"}

    def test_every_header_is_known(self, language: str) -> None:
        named = set(HEADER.findall(PROGRAMS[language]))
        assert {"x-functions-key", "Idempotency-Key"} <= named <= headers()

    def test_every_field_is_known(self, language: str) -> None:
        assert fields(language) <= set(properties(DOCUMENT))

    @pytest.mark.parametrize("body", ["HarvestRequest", "SubmitRequest", "RecordInput", "DestroyRequest"])
    def test_every_field_that_is_required_is_sent(self, language: str, body: str) -> None:
        assert set(SCHEMAS[body]["required"]) <= set(re.findall(r"\w+", PROGRAMS[language]))


def test_row_keys_that_differ_in_case_are_different_in_powershell() -> None:
    """Its plain operators ignore case, and take a record that is not due for one that is."""
    assert re.findall(r"-(\w+) \$due\b", PROGRAMS["powershell"]) == ["cin"]
