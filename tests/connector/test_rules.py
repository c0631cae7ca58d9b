"""What Power Platform asks of a connector.

Sources: learn.microsoft.com, "Learn best practices for string fields", "Follow coding standards" and "Extend an OpenAPI
definition for a custom connector".
"""

import re

import pytest

from tests.connector.reading import (
    ANSWERS,
    OPERATIONS,
    PARAMETERS,
    PROPERTIES,
    PROPERTIES_SHOWN,
    SWAGGER,
    SWAGGER_FILE,
    objects,
    resolved,
)
from tools.connector.schemas import Schema

ONE_MEGABYTE = 1_000_000
ONLY_ACCEPTED = {"RebuildTable"}
"""What is only taken note of: there is nothing to go on with."""

VISIBILITIES = {"important", "advanced", "internal"}
FORBIDDEN = re.compile(r"\b(API|Power Automate|Power Apps|Logic Apps|Copilot Studio)\b", re.IGNORECASE)
DROPDOWNS = [
    node[kind] for node in objects(SWAGGER) for kind in ("x-ms-dynamic-values", "x-ms-dynamic-list") if kind in node
]


class TestTheConnector:
    def test_its_title_fits(self) -> None:
        title = SWAGGER["info"]["title"]
        assert 0 < len(title) <= 30
        assert title[-1].isalnum()

    def test_its_description_says_something(self) -> None:
        assert 30 <= len(SWAGGER["info"]["description"]) <= 500

    @pytest.mark.parametrize("text", ["title", "description"])
    def test_it_does_not_borrow_names(self, text: str) -> None:
        assert not FORBIDDEN.search(SWAGGER["info"][text])

    def test_it_is_small_enough(self) -> None:
        assert SWAGGER_FILE.stat().st_size < ONE_MEGABYTE

    def test_it_speaks_tls_only(self) -> None:
        assert SWAGGER["schemes"] == ["https"]

    def test_its_connection_is_tried_with_a_cheap_call_behind_the_key(self) -> None:
        test = SWAGGER["x-ms-capabilities"]["testConnection"]
        assert test == {"operationId": "ListRuns", "parameters": {"top": 1}}
        assert "security" not in OPERATIONS["ListRuns"]
        assert not [one for one in OPERATIONS["ListRuns"]["parameters"] if one["required"]]

    def test_it_says_where_it_belongs(self) -> None:
        told = {entry["propertyName"] for entry in SWAGGER["x-ms-connector-metadata"]}
        assert told == {"Website", "Privacy policy", "Categories"}

    def test_it_says_who_answers_for_it(self) -> None:
        contact = SWAGGER["info"]["contact"]
        assert contact.keys() == {"name", "url", "email"}
        assert contact["url"] == f"https://{SWAGGER['host']}"
        assert re.fullmatch(r"\S+@\S+", contact["email"])
        assert PROPERTIES["publisher"] == PROPERTIES["stackOwner"] == contact["name"]

    def test_every_definition_is_used(self) -> None:
        used = {node["$ref"] for node in objects(SWAGGER) if "$ref" in node}
        assert used == {f"#/definitions/{name}" for name in SWAGGER["definitions"]}

    def test_nothing_needs_a_newer_swagger(self) -> None:
        keys = {key for node in objects(SWAGGER) for key in node}
        assert keys.isdisjoint({"anyOf", "oneOf", "nullable", "const", "$defs", "components"})


@pytest.mark.parametrize("name", OPERATIONS)
class TestOperations:
    def test_the_id_is_in_pascal_case(self, name: str) -> None:
        assert re.fullmatch(r"([A-Z][a-z0-9]+)+", name)

    def test_the_summary_is_a_short_title(self, name: str) -> None:
        summary = OPERATIONS[name]["summary"]
        assert re.fullmatch(r"[A-Z][^/]{2,78}[A-Za-z0-9]", summary)

    def test_the_description_adds_to_it_in_a_sentence(self, name: str) -> None:
        description = OPERATIONS[name]["description"]
        assert re.fullmatch(r"[A-Z].{10,250}\.", description)
        assert description.rstrip(".") != OPERATIONS[name]["summary"]

    def test_the_visibility_is_known(self, name: str) -> None:
        assert OPERATIONS[name].get("x-ms-visibility", "important") in VISIBILITIES

    def test_success_is_explicit(self, name: str) -> None:
        answers = OPERATIONS[name]["responses"]
        assert "default" not in answers
        if name in ONLY_ACCEPTED:
            assert "202" in answers
            return
        assert resolved(answers["200"]["schema"])["type"] == "object"

    def test_a_list_says_how_it_goes_on(self, name: str) -> None:
        if name in ONLY_ACCEPTED:
            return
        answer = resolved(OPERATIONS[name]["responses"]["200"]["schema"])["properties"]
        assert ("nextLink" in answer) == (OPERATIONS[name].get("x-ms-pageable") == {"nextLinkName": "nextLink"})


def test_titles_and_ids_are_unique() -> None:
    count = sum(len(path) for path in SWAGGER["paths"].values())
    assert len(OPERATIONS) == len({operation["summary"] for operation in OPERATIONS.values()}) == count


@pytest.mark.parametrize("name", ANSWERS)
def test_only_what_a_flow_goes_on_with_has_a_schema(name: str) -> None:
    status = name.rpartition(".")[2]
    answer = ANSWERS[name]
    assert ("schema" in answer) == (status in {"200", "201"})
    assert answer["description"].endswith(".")
    if status == "202" and name.partition(".")[0] not in ONLY_ACCEPTED:
        assert answer.keys() == {"description", "headers"}
        assert answer["headers"].keys() == {"Location", "Retry-After"}


@pytest.mark.parametrize("name", PARAMETERS)
class TestParameters:
    def test_its_name_is_not_taken_by_the_platform(self, name: str) -> None:
        parameter = PARAMETERS[name]
        assert parameter["name"].lower() not in {"connectionid", "authorization", "api_key", "code"}

    def test_it_has_a_title_and_a_hint(self, name: str) -> None:
        _words(PARAMETERS[name])

    def test_what_is_required_is_seen(self, name: str) -> None:
        parameter = PARAMETERS[name]
        assert parameter["x-ms-visibility"] in VISIBILITIES
        assert not parameter["required"] or parameter["x-ms-visibility"] == "important"

    def test_a_part_of_the_path_is_encoded_once(self, name: str) -> None:
        parameter = PARAMETERS[name]
        assert parameter.get("x-ms-url-encoding") == ("single" if parameter["in"] == "path" else None)


@pytest.mark.parametrize("path", PROPERTIES_SHOWN)
def test_a_property_has_a_title_and_a_hint(path: str) -> None:
    assert path.rpartition(".")[2].lower() != "connectionid"
    _words(PROPERTIES_SHOWN[path])


def _words(shown: dict[str, str]) -> None:
    assert re.fullmatch(r"[A-Z][\w -]{1,78}", shown["x-ms-summary"])
    assert re.fullmatch(r"[A-Z].*\.", shown["description"])
    assert shown["description"].rstrip(".") != shown["x-ms-summary"]


class TestDropdowns:
    def test_conflict_options(self) -> None:
        assert PROPERTIES_SHOWN["SubmitRequest.conflictOption"]["enum"] == ["Overwrite", "Skip"]

    def test_sources(self) -> None:
        chosen = [one for one in (*PARAMETERS.items(), *PROPERTIES_SHOWN.items()) if re.search(r"\bsource$", one[0])]
        assert chosen
        assert all(schema["enum"] == ["enpower", "graph", "elements"] for _, schema in chosen)

    @pytest.mark.parametrize(
        ("field", "source"),
        [
            (PARAMETERS["GetLatest.dataset"], "source"),
            (PROPERTIES_SHOWN["HarvestRequest.datasets"]["items"], "body/source"),
        ],
        ids=["newest snapshot", "harvest"],
    )
    def test_datasets_are_those_of_the_source_that_was_chosen(self, field: Schema, source: str) -> None:
        older, newer = field["x-ms-dynamic-values"], field["x-ms-dynamic-list"]
        assert older["operationId"] == newer["operationId"] == "ListDatasets"
        assert older["parameters"] == {"source": {"parameter": "source"}}
        assert newer["parameters"] == {"source": {"parameterReference": source}}

    @pytest.mark.parametrize("choices", DROPDOWNS)
    def test_they_are_filled_by_what_an_operation_answers(self, choices: Schema) -> None:
        operation = OPERATIONS[choices["operationId"]]
        within = choices.get("value-collection") or choices["itemsPath"]
        items = resolved(operation["responses"]["200"]["schema"])["properties"][within]["items"]
        known = {within, *resolved(items)["properties"]}
        assert {text for key, text in choices.items() if key not in {"operationId", "parameters"}} <= known
        assert choices["parameters"].keys() <= {one["name"] for one in operation["parameters"]}


def test_the_columns_of_a_row_come_from_an_operation() -> None:
    dynamic = resolved({"$ref": "#/definitions/Row"})["x-ms-dynamic-schema"]
    operation = OPERATIONS[dynamic["operationId"]]
    assert dynamic["value-path"] in resolved(operation["responses"]["200"]["schema"])["properties"]
    asked = {one["name"] for one in OPERATIONS["ListItems"]["parameters"]}
    assert dynamic["parameters"].keys() == {one["name"] for one in operation["parameters"]} <= asked


class TestConnections:
    def test_there_are_two_ways_in(self) -> None:
        names = [way["name"] for way in PROPERTIES["connectionParameterSets"]["values"]]
        assert names == ["key", "entra"]

    @pytest.mark.parametrize("way", PROPERTIES["connectionParameterSets"]["values"], ids=lambda way: way["name"])
    def test_what_each_asks_for_is_explained_and_required(self, way: Schema) -> None:
        for parameter in way["parameters"].values():
            assert parameter["uiDefinition"]["displayName"]
            assert parameter["uiDefinition"]["constraints"]["required"] == "true"

    def test_the_key_is_a_secret_and_goes_into_its_header(self) -> None:
        key, _ = PROPERTIES["connectionParameterSets"]["values"]
        assert key["parameters"]["api_key"]["type"] == "securestring"
        (policy,) = [one for one in PROPERTIES["policyTemplateInstances"] if one["templateId"] == "setheader"]
        assert policy["parameters"]["x-ms-apimTemplateParameter.name"] == "x-functions-key"
        assert policy["parameters"]["x-ms-apimTemplateParameter.value"] == "@connectionParameters('api_key','')"

    def test_next_links_go_through_the_connector(self) -> None:
        (policy,) = [one for one in PROPERTIES["policyTemplateInstances"] if one["templateId"] == "updatenextlink"]
        assert policy["parameters"]["x-ms-apimTemplateParameter.nextLinkPropertyName"] == "nextLink"
        paged = [name for name, operation in OPERATIONS.items() if "x-ms-pageable" in operation]
        assert sorted(policy["parameters"]["x-ms-apimTemplate-operationName"]) == sorted(paged) != []

    def test_a_trigger_goes_on_through_the_connector(self) -> None:
        """As published: query names with expressions over the body, and the path of what is new."""
        (policy,) = [one for one in PROPERTIES["policyTemplateInstances"] if one["templateId"] == "pollingtrigger"]
        assert policy.keys() == {"templateId", "title", "type", "parameters"}
        assert policy["type"] == "PollingTrigger"
        told = dict(policy["parameters"])
        triggers = told.pop("x-ms-apimTemplate-operationName")
        (known,) = told.pop("x-ms-apimTemplateParameter.triggerConfig").items()
        assert triggers == [name for name, operation in OPERATIONS.items() if "x-ms-trigger" in operation] != []
        assert told == {"x-ms-apimTemplateParameter.triggerDataPath": "@triggerBody().value"}
        assert known == ("triggerState", "@{triggerBody().triggerState}")
        for name in triggers:
            assert PARAMETERS[f"{name}.triggerState"]["x-ms-visibility"] == "internal"
            answer = resolved(OPERATIONS[name]["responses"]["200"]["schema"])
            assert answer["required"] == ["value", "triggerState"]
            assert answer["properties"]["value"]["type"] == "array"

    def test_the_address_of_the_sign_in_is_the_connectors_own(self) -> None:
        """With this mode the platform makes the address: one in the file would be that of all connectors."""
        _, entra = PROPERTIES["connectionParameterSets"]["values"]
        settings = entra["parameters"]["token"]["oAuthSettings"]
        assert settings["redirectMode"] == "GlobalPerConnector"
        assert "redirectUrl" not in settings

    def test_both_are_declared_and_needed_by_default(self) -> None:
        assert {frozenset(way) for way in SWAGGER["security"]} == {frozenset({"function_key"}), frozenset({"entra"})}
        assert SWAGGER["securityDefinitions"]["function_key"]["name"] == "x-functions-key"


def test_health_promises_no_time_to_ask_again() -> None:
    assert "headers" not in OPERATIONS["Health"]["responses"]["503"]
