"""The description for programs is what the functions and models say, and validators that share no code accept it."""

import json
import re
import subprocess
from pathlib import Path

import pytest
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from functions.harvest_request import MOST_DATASETS
from functions.http.queries import QUERIES
from sandbox.azurite import node
from sandbox.processes import ROOT
from shared.opus.intake.inputs import RecordInput
from tools.connector.actions import ACTIONS, OF_PROGRAMS
from tools.openapi.components import BODIES
from tools.openapi.document import FILES, openapi, text
from tools.openapi.operations import EXAMPLES, camel_case

SWAGGER_PARSER = (
    "require('@apidevtools/swagger-parser').validate(process.argv[1])"
    ".catch(error => { console.error(error.message); process.exit(1) })"
)
DOCUMENT = json.loads(FILES[0].read_text())
SCHEMAS = DOCUMENT["components"]["schemas"]
RECORD = json.loads(json.dumps(EXAMPLES["SubmitRequest"]))["records"][0]
OPERATIONS = {
    operation["operationId"]: operation for methods in DOCUMENT["paths"].values() for operation in methods.values()
}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.parent.name)
def test_a_file_is_up_to_date(path: Path) -> None:
    assert path.read_text() == text(openapi()), "run make docs"


def test_the_validator_in_python_accepts_it() -> None:
    OpenAPIV31SpecValidator(DOCUMENT).validate()


def test_the_validator_in_javascript_accepts_it(tmp_path: Path) -> None:
    """Its schema of OpenAPI 3.1 takes no variables of servers, which the specification has."""
    plain = tmp_path / "openapi.json"
    plain.write_text(json.dumps(DOCUMENT | {"servers": [{"url": "https://function-app.example.com/api"}]}))
    done = subprocess.run(  # noqa: S603 - our own Node, our own file
        [node(), "-e", SWAGGER_PARSER, plain], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("function", [*ACTIONS, *OF_PROGRAMS])
def test_every_query_name_is_there_and_no_other(function: str) -> None:
    """What the app refuses and what the description allows come from the same table of names."""
    known = QUERIES[function]
    described = {one["name"] for one in OPERATIONS[camel_case(function)]["parameters"] if one["in"] == "query"}
    assert described == ({one.name for one in known} if known is not None else set())


@pytest.mark.parametrize("name", OPERATIONS)
def test_work_that_goes_on_has_a_schema(name: str) -> None:
    later = OPERATIONS[name]["responses"].get("202")
    if later is not None and name not in {"onSnapshot", "onChange"}:
        assert later["content"]["application/json"]["schema"]


def answered(text: str, seen: set[str]) -> set[str]:
    """The names of the schemas that a text refers to, and those that these refer to."""
    for name in set(re.findall(r"#/components/(?:schemas|responses)/(\w+)", text)) - seen:
        seen.add(name)
        components = DOCUMENT["components"]
        answered(json.dumps((components["schemas"] | components["responses"])[name]), seen)
    return seen


@pytest.mark.parametrize("name", ["onSnapshot", "onChange"])
def test_each_answer_of_a_trigger_says_where_to_go_on(name: str) -> None:
    answers = OPERATIONS[name]["responses"]
    assert answers["200"]["headers"] == answers["202"]["headers"]
    assert answers["200"]["headers"].keys() == {"Location", "Retry-After"}


@pytest.mark.parametrize("name", ["submitRecords", "destroyRecords"])
@pytest.mark.parametrize("status", ["200", "202", "422"])
def test_an_answer_that_may_be_given_again_says_so(name: str, status: str) -> None:
    assert "Idempotent-Replayed" in OPERATIONS[name]["responses"][status]["headers"]


def test_no_answer_is_closed() -> None:
    responses = json.dumps([operation["responses"] for operation in OPERATIONS.values()])
    schemas = {name: DOCUMENT["components"]["schemas"].get(name, {}) for name in answered(responses, set())}
    assert [name for name, schema in schemas.items() if schema.get("additionalProperties") is False] == []
    assert [name for name, schema in schemas.items() if "enum" in schema] == []
    for name in ("Row", "DueRecord", "Change", "ChangeEvent"):
        assert schemas[name]["additionalProperties"] is True


@pytest.mark.parametrize("name", BODIES)
def test_an_example_is_what_the_app_takes_and_the_schema_allows(name: str) -> None:
    schema = {"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]}
    BODIES[name].model_validate(EXAMPLES[name])
    OAS31Validator(schema).validate(EXAMPLES[name])


@pytest.mark.parametrize(
    "value", ["text", 4.5, True, None, ["a", 1], *({"type": kind, "value": None} for kind in ("text", "person"))]
)
def test_a_custom_column_is_one_thing(value: object) -> None:
    """A value with its type was a plain value as well, which makes it wrong where just one may match."""
    OAS31Validator({**SCHEMAS["RecordColumn"], "components": DOCUMENT["components"]}).validate(value)


@pytest.mark.parametrize("value", [{}, {"type": "colour", "value": "red"}, [None], [["a"]]])
def test_what_is_no_custom_column_is_none_in_the_schema(value: object) -> None:
    record = {**RECORD, "department": value}
    with pytest.raises(ValueError, match="department"):
        RecordInput.model_validate(record)
    assert not OAS31Validator({**SCHEMAS["RecordColumn"], "components": DOCUMENT["components"]}).is_valid(value)


def test_a_body_says_how_many_and_that_each_is_another() -> None:
    (names,) = [one for one in SCHEMAS["HarvestRequest"]["properties"]["datasets"]["anyOf"] if one["type"] == "array"]
    assert (names["minItems"], names["maxItems"]) == (1, MOST_DATASETS)
    ids = SCHEMAS["DestroyRequest"]["properties"]["ids"]
    assert (ids["minItems"], ids["uniqueItems"]) == (1, True)
