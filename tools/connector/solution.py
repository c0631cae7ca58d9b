"""The solution that a flow maker imports: the connector, its connection references, and the sample flows, as one file.

Its parts are those of a solution that Power Platform exports (https://learn.microsoft.com/power-platform/alm/solution-api
and ``pac solution unpack``): ``solution.xml``, ``customizations.xml``, ``[Content_Types].xml``, ``Workflows/`` and
``Connector/``. Flows are imported switched off, because their parameters have to be set first.
"""

import io
import json
import re
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from uuid import NAMESPACE_URL, UUID, uuid5
from xml.etree import ElementTree as ET

from tools.connector.properties import OWNER, properties
from tools.connector.schemas import Schema
from tools.connector.swagger import swagger

NAME = "AvePointInventoryAndOpus"
DISPLAY_NAME = "AvePoint inventory and Opus"
VERSION = "1.0.0.0"
PREFIX = "avpt"
CONNECTOR = f"{PREFIX}_5Finventoryandopus"
"""The logical name of the connector, in which ``_5F`` stands for an underscore."""

API = f"shared_{PREFIX}-5finventoryandopus"
STANDALONE_API = "shared_avepoint-20inventory-20and-20opus"
"""What the connector is called where ``pac connector create`` made it, as in the sample files."""

_SAMPLES = Path(__file__).parents[2] / "connector" / "samples"
_NAMESPACE = uuid5(NAMESPACE_URL, "avepoint-functions/solution")
_LANGUAGE = "1033"
_NO_TIME = (2000, 1, 1, 0, 0, 0)
_FLOW_TYPE, _CONNECTOR_TYPE = "29", "372"
_TYPES = "http://schemas.openxmlformats.org/package/2006/content-types"
_EMPTY = (
    *("Entities", "Roles", "Workflows", "FieldSecurityProfiles", "Templates", "EntityMaps", "EntityRelationships"),
    *("OrganizationSettings", "optionsets", "CustomControls", "EntityDataProviders"),
)
_WORKFLOW = {
    "Type": "1",
    "Subprocess": "0",
    "Category": "5",
    "Mode": "0",
    "Scope": "4",
    "OnDemand": "0",
    "TriggerOnCreate": "0",
    "TriggerOnDelete": "0",
    "AsyncAutodelete": "0",
    "SyncWorkflowLogOnFailure": "0",
    "StateCode": "0",
    "StatusCode": "1",
    "RunAs": "1",
    "IsTransacted": "1",
    "IntroducedVersion": VERSION,
    "IsCustomizable": "1",
    "BusinessProcessType": "0",
    "IsCustomProcessingStepAllowedForOtherPublishers": "1",
    "PrimaryEntity": "none",
}
"""What a cloud flow (category 5) has, in the order of an export; state 0 is off."""


def solution() -> bytes:
    """Return the solution as a file, always with the same bytes for the same parts."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as archive:
        for path, text in parts().items():
            archive.writestr(zipfile.ZipInfo(path, _NO_TIME), text)
    return content.getvalue()


def parts() -> Mapping[str, str]:
    """Return the parts of the solution by their paths in it."""
    flows = {path.name.removesuffix(".flow.json"): json.loads(path.read_text()) for path in _flow_files()}
    return {
        "[Content_Types].xml": _xml(_content_types()),
        "solution.xml": _xml(_manifest(flows)),
        "customizations.xml": _xml(_customizations(flows)),
        **{f"Workflows/{_file_name(name)}": _json(_in_solution(flow)) for name, flow in flows.items()},
        f"Connector/{CONNECTOR}_openapidefinition.json": _json(swagger()),
        f"Connector/{CONNECTOR}_connectionparameters.json": _json(_connection_parameters()),
        f"Connector/{CONNECTOR}_policytemplateinstances.json": "[]",
    }


def flow_id(name: str) -> UUID:
    """Return the id of a flow, which stays, so that a newer solution replaces it."""
    return uuid5(_NAMESPACE, name)


def references(flows: Iterable[Schema]) -> dict[str, str]:
    """Return the connection references that flows use: logical name to connector."""
    used = [one for flow in flows for one in flow["properties"]["connectionReferences"].values()]
    return {one["connection"]["connectionReferenceLogicalName"]: one["api"]["name"] for one in used}


def _flow_files() -> list[Path]:
    return sorted(_SAMPLES.glob("*.flow.json"))


def _file_name(name: str) -> str:
    words = "".join(word.capitalize() for word in re.split(r"\W+", name))
    return f"{words}-{str(flow_id(name)).upper()}.json"


def _in_solution(flow: Schema) -> Schema:
    """Return a flow that goes by the connector of the solution."""
    renamed: Schema = json.loads(json.dumps(flow).replace(STANDALONE_API, API))
    for one in renamed["properties"]["connectionReferences"].values():
        if one["api"]["name"] == API:
            one["api"]["logicalName"] = CONNECTOR
    return renamed


def _connection_parameters() -> Schema:
    parameters: Schema = properties()["properties"]
    sets = parameters.get("connectionParameterSets")
    return {"connectionParameterSets": sets} if sets else parameters["connectionParameters"]


def _content_types() -> ET.Element:
    types = ET.Element("Types", xmlns=_TYPES)
    for extension in ("xml", "json"):
        ET.SubElement(types, "Default", Extension=extension, ContentType="application/octet-stream")
    return types


def _manifest(flows: Mapping[str, Schema]) -> ET.Element:
    root = ET.Element("ImportExportXml", version="9.2.0.0", SolutionPackageVersion="9.2", languagecode=_LANGUAGE)
    manifest = ET.SubElement(root, "SolutionManifest")
    _text(manifest, "UniqueName", NAME)
    _localized(manifest, "LocalizedNames", "LocalizedName", DISPLAY_NAME)
    _localized(manifest, "Descriptions", "Description", "The connector of the app, and sample flows that use it.")
    _text(manifest, "Version", VERSION)
    _text(manifest, "Managed", "0")
    publisher = ET.SubElement(manifest, "Publisher")
    _text(publisher, "UniqueName", "avepointfunctions")
    _localized(publisher, "LocalizedNames", "LocalizedName", OWNER)
    _localized(publisher, "Descriptions", "Description", OWNER)
    _text(publisher, "CustomizationPrefix", PREFIX)
    _text(publisher, "CustomizationOptionValuePrefix", "47110")
    ET.SubElement(publisher, "Addresses")
    components = ET.SubElement(manifest, "RootComponents")
    for name in flows:
        ET.SubElement(components, "RootComponent", type=_FLOW_TYPE, id=f"{{{flow_id(name)}}}", behavior="0")
    connector = {"type": _CONNECTOR_TYPE, "id": f"{{{flow_id(CONNECTOR)}}}", "schemaName": CONNECTOR, "behavior": "0"}
    ET.SubElement(components, "RootComponent", connector)
    ET.SubElement(manifest, "MissingDependencies")
    return root


def _customizations(flows: Mapping[str, Schema]) -> ET.Element:
    root = ET.Element("ImportExportXml")
    empty = {name: ET.SubElement(root, name) for name in _EMPTY}
    for name, flow in flows.items():
        _workflow(empty["Workflows"], name, str(flow["properties"]["displayName"]))
    _connector(ET.SubElement(root, "Connectors"))
    listed = ET.SubElement(root, "connectionreferences")
    for logical_name, api in references(flows.values()).items():
        _reference(listed, logical_name, api)
    _text(ET.SubElement(root, "Languages"), "Language", _LANGUAGE)
    return root


def _workflow(parent: ET.Element, name: str, title: str) -> None:
    workflow = ET.SubElement(parent, "Workflow", WorkflowId=f"{{{flow_id(name)}}}", Name=title)
    _text(workflow, "JsonFileName", f"/Workflows/{_file_name(name)}")
    for field, value in _WORKFLOW.items():
        _text(workflow, field, value)
    _localized(workflow, "LocalizedNames", "LocalizedName", title)


def _connector(parent: ET.Element) -> None:
    connector = ET.SubElement(parent, "Connector")
    info = swagger()["info"]
    _text(connector, "connectorid", f"{{{flow_id(CONNECTOR)}}}")
    _text(connector, "description", str(info["description"]))
    _text(connector, "displayname", str(info["title"]))
    _text(connector, "iconbrandcolor", str(properties()["properties"].get("iconBrandColor", "#007ee5")))
    _text(connector, "name", CONNECTOR)
    _text(connector, "connectortype", "1")
    for part in ("openapidefinition", "connectionparameters", "policytemplateinstances"):
        _text(connector, part, f"/Connector/{CONNECTOR}_{part}.json")


def _reference(parent: ET.Element, logical_name: str, api: str) -> None:
    reference = ET.SubElement(parent, "connectionreference", connectionreferencelogicalname=logical_name)
    _text(reference, "connectionreferencedisplayname", logical_name.replace("_", " "))
    own = api == STANDALONE_API
    _text(reference, "connectorid", f"/providers/Microsoft.PowerApps/apis/{API if own else api}")
    if own:
        _text(ET.SubElement(reference, "customconnectorid"), "connectorid", f"{{{flow_id(CONNECTOR)}}}")
    for field, value in (("iscustomizable", "1"), ("promptingbehavior", "0"), ("statecode", "0"), ("statuscode", "1")):
        _text(reference, field, value)


def _localized(parent: ET.Element, group: str, one: str, text: str) -> None:
    ET.SubElement(ET.SubElement(parent, group), one, description=text, languagecode=_LANGUAGE)


def _text(parent: ET.Element, name: str, text: str) -> None:
    ET.SubElement(parent, name).text = text


def _xml(root: ET.Element) -> str:
    ET.indent(root)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _json(document: Schema) -> str:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))
