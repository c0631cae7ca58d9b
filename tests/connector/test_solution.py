"""The solution holds what Power Platform looks for, names nothing that is not in it, and is up to date."""

import io
import json
import re
import zipfile
from xml.etree import ElementTree as ET

import pytest

from tests.connector.reading import objects
from tools.connector.files import SOLUTION
from tools.connector.solution import API, CONNECTOR, STANDALONE_API, parts, solution

PARTS = parts()
MANIFEST = ET.fromstring(PARTS["solution.xml"])  # noqa: S314 - written by ourselves
CUSTOMIZATIONS = ET.fromstring(PARTS["customizations.xml"])  # noqa: S314 - written by ourselves
FLOWS = {path: json.loads(text) for path, text in PARTS.items() if path.startswith("Workflows/")}


def text_of(element: ET.Element, path: str) -> str:
    found = element.findtext(path)
    assert found is not None, path
    return found


def test_it_is_up_to_date() -> None:
    assert SOLUTION.read_bytes() == solution(), "run make docs"


def test_it_is_an_archive_of_its_parts() -> None:
    with zipfile.ZipFile(io.BytesIO(solution())) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name).decode() for name in archive.namelist()} == PARTS


def test_every_extension_has_a_content_type() -> None:
    types = ET.fromstring(PARTS["[Content_Types].xml"])  # noqa: S314 - written by ourselves
    named = {one.get("Extension") for one in types}
    assert {path.rpartition(".")[2] for path in PARTS} == named


def test_the_manifest_has_what_an_import_asks_for() -> None:
    assert re.fullmatch(r"[A-Za-z_]\w+", text_of(MANIFEST, "SolutionManifest/UniqueName"))
    assert re.fullmatch(r"\d+(\.\d+){3}", text_of(MANIFEST, "SolutionManifest/Version"))
    assert text_of(MANIFEST, "SolutionManifest/Managed") == "0"
    prefix = text_of(MANIFEST, "SolutionManifest/Publisher/CustomizationPrefix")
    assert re.fullmatch(r"[a-z][a-z0-9]{1,7}", prefix)
    assert CONNECTOR.startswith(f"{prefix}_5F")
    assert 10_000 <= int(text_of(MANIFEST, "SolutionManifest/Publisher/CustomizationOptionValuePrefix")) <= 99_999


def test_components_are_the_flows_and_the_connector() -> None:
    components = MANIFEST.findall("SolutionManifest/RootComponents/RootComponent")
    flows = {one.get("WorkflowId") for one in CUSTOMIZATIONS.findall("Workflows/Workflow")}
    assert {one.get("id") for one in components if one.get("type") == "29"} == flows
    (connector,) = [one for one in components if one.get("type") == "372"]
    assert connector.get("schemaName") == text_of(CUSTOMIZATIONS, "Connectors/Connector/name") == CONNECTOR
    assert connector.get("id") == text_of(CUSTOMIZATIONS, "Connectors/Connector/connectorid")


def test_every_part_that_is_named_is_there() -> None:
    named = [one.text for one in CUSTOMIZATIONS.iter() if one.text and one.text.startswith(("/Workflows/", "/Conn"))]
    assert {str(path).removeprefix("/") for path in named} == {path for path in PARTS if "/" in path}


def test_flows_come_switched_off() -> None:
    for flow in CUSTOMIZATIONS.findall("Workflows/Workflow"):
        assert (text_of(flow, "StateCode"), text_of(flow, "StatusCode"), text_of(flow, "Category")) == ("0", "1", "5")


@pytest.mark.parametrize("path", FLOWS)
class TestFlows:
    def test_its_connections_have_references(self, path: str) -> None:
        references = {
            one.get("connectionreferencelogicalname"): text_of(one, "connectorid").rpartition("/")[2]
            for one in CUSTOMIZATIONS.findall("connectionreferences/connectionreference")
        }
        for one in FLOWS[path]["properties"]["connectionReferences"].values():
            assert references[one["connection"]["connectionReferenceLogicalName"]] == one["api"]["name"]

    def test_it_goes_by_the_connector_of_the_solution(self, path: str) -> None:
        assert STANDALONE_API not in json.dumps(FLOWS[path])
        own = [
            node["host"] for node in objects(FLOWS[path]) if node.get("host", {}).get("connectionName") == "avepoint"
        ]
        assert own
        assert {host["apiId"].rpartition("/")[2] for host in own} == {API}

    def test_its_name_carries_its_id(self, path: str) -> None:
        (flow,) = [
            one for one in CUSTOMIZATIONS.findall("Workflows/Workflow") if text_of(one, "JsonFileName") == f"/{path}"
        ]
        assert str(flow.get("WorkflowId")).strip("{}").upper() in path


def test_the_connector_has_its_definition_and_its_ways_in() -> None:
    definition = json.loads(PARTS[f"Connector/{CONNECTOR}_openapidefinition.json"])
    parameters = json.loads(PARTS[f"Connector/{CONNECTOR}_connectionparameters.json"])
    assert definition["swagger"] == "2.0"
    assert parameters
    (own,) = [
        one
        for one in CUSTOMIZATIONS.findall("connectionreferences/connectionreference")
        if one.find("customconnectorid") is not None
    ]
    assert text_of(own, "customconnectorid/connectorid") == text_of(CUSTOMIZATIONS, "Connectors/Connector/connectorid")
