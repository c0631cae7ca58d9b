"""The samples are whole, call what is there, repeat without harm, and collect before they destroy."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.connector.reading import CONNECTOR, OPERATIONS, PROPERTIES_SHOWN, SWAGGER, objects, resolved, texts
from tools.connector.schemas import Schema

REPORTS = CONNECTOR.parent / "shared" / "tables" / "reports"
SCHEMA = "https://schema.management.azure.com/providers/Microsoft.Logic/schemas/2016-06-01/workflowdefinition.json#"
LOGIC_APP = json.loads((CONNECTOR / "samples" / "nightly-report.logicapp.json").read_text())
FLOWS: dict[str, Schema] = {
    path.name.removesuffix(".flow.json").replace("-", " "): json.loads(path.read_text())
    for path in sorted((CONNECTOR / "samples").glob("*.flow.json"))
}
(WORKFLOW,) = [one for one in LOGIC_APP["resources"] if one["type"] == "Microsoft.Logic/workflows"]
DEFINITIONS: dict[str, Schema] = {
    "nightly report": WORKFLOW["properties"]["definition"],
    **{title: flow["properties"]["definition"] for title, flow in FLOWS.items()},
}
THEIRS = {"outcome", "ID", "Title", "Created", "Modified", "Author", "Editor", "Email"}
"""What the samples read of approvals and of SharePoint items."""

REPORT = "without-active-owner"
COLUMNS = {"displayName", *re.findall(r"\w+", (REPORTS / f"{REPORT}.sql").read_text().rpartition("SELECT")[2])}
"""What the samples read of rows: most of them are called by displayName, and the report has columns of its own."""

OURS = "avepoint"
"""What the flow calls the connection to this app."""


@dataclass(frozen=True)
class Step:
    """One action of a workflow, with the actions beside it and the names of those it lies in."""

    name: str
    action: Schema
    beside: Schema
    within: tuple[str, ...]

    @property
    def operation(self) -> str | None:
        """The operation of this app that it calls, if any."""
        inputs = self.action.get("inputs", {})
        if self.action["type"] == "Http":
            path = re.sub(r"@{[^}]*}", "-", inputs["uri"]).removeprefix("-/api").partition("?")[0]
            known = next(one for one in SWAGGER["paths"] if re.fullmatch(re.sub(r"{\w+}", "[^/]+", one), path))
            return str(SWAGGER["paths"][known][inputs["method"].lower()]["operationId"])
        if self.action["type"].startswith("OpenApiConnection") and inputs["host"]["connectionName"] == OURS:
            return str(inputs["host"]["operationId"])
        return None


def steps(actions: Schema, within: tuple[str, ...] = ()) -> Iterator[Step]:
    """Every action, however deep."""
    for name, action in actions.items():
        yield Step(name, action, actions, within)
        for inner in (action, action.get("else", {})):
            yield from steps(inner.get("actions", {}), (*within, name))


STEPS = {f"{title}: {step.name}": step for title, one in DEFINITIONS.items() for step in steps(one["actions"])}
CALLS = {name: step for name, step in STEPS.items() if step.operation}


@pytest.mark.parametrize("title", DEFINITIONS)
class TestDefinitions:
    def test_it_is_a_workflow(self, title: str) -> None:
        definition = DEFINITIONS[title]
        assert definition["$schema"] == SCHEMA
        assert re.fullmatch(r"\d+(\.\d+){3}", definition["contentVersion"])
        assert definition.keys() >= {"parameters", "triggers", "actions", "outputs"}
        assert len(definition["triggers"]) == 1

    def test_its_steps_have_names_of_their_own(self, title: str) -> None:
        names = [step.name for step in steps(DEFINITIONS[title]["actions"])]
        assert len(names) == len(set(names))

    def test_what_its_expressions_name_is_there(self, title: str) -> None:
        definition = DEFINITIONS[title]
        names = {step.name for step in steps(definition["actions"])}
        text = " ".join(one for one in texts(definition) if "@" in one)
        assert set(re.findall(r"\b(?:body|outputs|items)\('([^']+)'\)", text)) <= names
        assert set(re.findall(r"\bparameters\('([^']+)'\)", text)) <= definition["parameters"].keys()
        variables = {one["name"] for node in objects(definition) for one in node.get("variables", [])}
        assert set(re.findall(r"\bvariables\('([^']+)'\)", text)) <= variables

    def test_what_it_reads_is_answered(self, title: str) -> None:
        read = {name for text in texts(DEFINITIONS[title]) for name in re.findall(r"\?\['([^']+)'\]", text)}
        answered = {path.rpartition(".")[2] for path in PROPERTIES_SHOWN} | {"error", "code", "message", "operation"}
        answered |= COLUMNS
        assert {step for name in read for step in name.removeprefix("body/").split("/")} - answered <= THEIRS

    def test_its_parentheses_close(self, title: str) -> None:
        for text in texts(DEFINITIONS[title]):
            assert "@" not in text or text.count("(") == text.count(")")

    def test_it_calls_this_app(self, title: str) -> None:
        assert any(name.startswith(title) for name in CALLS)


@pytest.mark.parametrize("name", STEPS)
def test_a_step_runs_after_steps_beside_it(name: str) -> None:
    step = STEPS[name]
    assert step.action["type"]
    assert step.action["runAfter"].keys() <= step.beside.keys() - {step.name}
    assert all(set(when) <= {"Succeeded", "Failed", "TimedOut", "Skipped"} for when in step.action["runAfter"].values())


@pytest.mark.parametrize("name", CALLS)
class TestCalls:
    def test_the_operation_is_there_and_for_people(self, name: str) -> None:
        operation = OPERATIONS[str(CALLS[name].operation)]
        assert operation.get("x-ms-visibility") != "internal"

    def test_it_is_repeated_patiently(self, name: str) -> None:
        policy = CALLS[name].action["inputs"]["retryPolicy"]
        assert policy["type"] == "exponential"
        assert 1 <= policy["count"] <= 90
        assert {policy[key][:2] for key in ("interval", "minimumInterval", "maximumInterval")} == {"PT"}

    def test_its_parameters_are_those_of_the_operation(self, name: str) -> None:
        step = CALLS[name]
        if step.action["type"] == "Http":
            asked = re.findall(r"[?&](\w+)=", step.action["inputs"]["uri"])
        else:
            asked = list(step.action["inputs"]["parameters"])
        known = dict(parameters(OPERATIONS[str(step.operation)]))
        assert set(asked) <= known.keys()
        if step.action["type"] != "Http":
            assert {key for key, required in known.items() if required} <= set(asked)

    def test_what_acts_has_a_key_that_belongs_to_the_run(self, name: str) -> None:
        step = CALLS[name]
        acts = "Idempotency-Key" in dict(parameters(OPERATIONS[str(step.operation)]))
        key = step.action["inputs"].get("parameters", {}).get("Idempotency-Key")
        assert bool(key) == acts
        if key:
            loops = [
                one
                for one in step.within
                if STEPS[f"{name.split(':', maxsplit=1)[0]}: {one}"].action["type"] == "Foreach"
            ]
            assert "workflow()['run']['name']" in key
            assert all(f"items('{loop}')" in key for loop in loops)


def parameters(operation: Schema) -> Iterator[tuple[str, bool]]:
    """The parameters of an operation as a flow names them, and whether they are required."""
    for parameter in operation["parameters"]:
        if parameter["in"] == "body":
            schema = resolved(parameter["schema"])
            yield from ((f"body/{name}", name in schema["required"]) for name in schema["properties"])
        else:
            yield parameter["name"], parameter["required"]


def test_all_due_records_are_collected_before_any_is_destroyed() -> None:
    (collect,) = [step for step in CALLS.values() if step.operation == "ListDueRecords"]
    (destroy,) = [step for step in CALLS.values() if step.operation == "DestroyRecords"]
    assert collect.within == ()
    assert collect.action["runtimeConfiguration"]["paginationPolicy"]["minimumItemCount"] >= 5000
    outermost = destroy.within[0]
    assert collect.name in set(ahead_of(outermost, collect.beside))
    assert destroy.action["inputs"]["parameters"]["body/before"] == collect.action["inputs"]["parameters"]["before"]


def ahead_of(name: str, actions: Schema) -> Iterator[str]:
    """Every step that has run when a step begins."""
    for earlier in actions[name]["runAfter"]:
        yield earlier
        yield from ahead_of(earlier, actions)


def test_nothing_is_destroyed_without_approval() -> None:
    (destroy,) = [step for step in CALLS.values() if step.operation == "DestroyRecords"]
    approved = STEPS["destroy due records: Approved"].action
    assert "Approved" in destroy.within
    assert approved["expression"] == {"equals": ["@outputs('Ask_for_approval')?['body/outcome']", "Approve"]}
    assert approved["else"] == {"actions": {}}


def test_batches_are_destroyed_one_after_the_other() -> None:
    loop = STEPS["destroy due records: Each_batch"].action
    assert loop["runtimeConfiguration"]["concurrency"]["repetitions"] == 1


class TestTheLogicApp:
    def test_every_parameter_of_the_workflow_is_given(self) -> None:
        given = WORKFLOW["properties"]["parameters"]
        assert given.keys() == DEFINITIONS["nightly report"]["parameters"].keys()
        asked = {name for text in texts(given) for name in re.findall(r"parameters\('(\w+)'\)", text)}
        assert asked <= LOGIC_APP["parameters"].keys()

    def test_its_key_is_never_shown(self) -> None:
        assert LOGIC_APP["parameters"]["functionKey"]["type"] == "securestring"
        assert DEFINITIONS["nightly report"]["parameters"]["functionKey"]["type"] == "SecureString"
        for step in CALLS.values():
            if step.action["type"] == "Http":
                assert step.action["runtimeConfiguration"]["secureData"] == {"properties": ["inputs"]}

    def test_it_tells_what_changed_and_what_has_no_owner(self) -> None:
        """A dataset without changes, or a report whose tables are not there, does not cost the others their mail."""
        calls = {step.operation: step for name, step in CALLS.items() if name.startswith("nightly report")}
        assert calls.keys() == {"ListDatasets", "ListRuns", "ListChanges", "GetReport"}
        assert calls["GetReport"].action["inputs"]["uri"].endswith(f"/reports/{REPORT}")
        for name, following in (("ListChanges", "Changes_of_the_last_day"), ("GetReport", "Ownerless")):
            (when,) = STEPS[f"nightly report: {following}"].action["runAfter"].items()
            assert when == (calls[name].name, ["Succeeded", "Failed"])
        mailed = STEPS["nightly report: Send_report"].action["inputs"]["body"]["Body"]
        assert {"Table", "Table_of_ownerless"} < set(re.findall(r"body\('(\w+)'\)", mailed))
        assert re.findall(r"variables\('(\w+)'\)", mailed) == ["failures", "changes"]

    def test_it_says_so_when_there_is_no_report(self) -> None:
        spare = STEPS["nightly report: Say_that_there_is_no_report"].action
        assert spare["runAfter"] == {"Report": ["Failed", "TimedOut"]}


@pytest.mark.parametrize("flow", FLOWS.values(), ids=FLOWS)
def test_every_connection_of_a_flow_is_referred_to(flow: Schema) -> None:
    hosts = {node["connectionName"] for node in objects(flow) if "operationId" in node}
    assert hosts == flow["properties"]["connectionReferences"].keys()


@pytest.mark.parametrize("name", ["Destroy_records", "Submit_record"])
def test_a_422_is_read_as_what_it_says(name: str) -> None:
    """A call of which every item failed is 422, and tells of its operation inside ``operation``."""
    (flow,) = [flow for flow in FLOWS.values() if f"outputs('{name}')" in " ".join(texts(flow))]
    text = " ".join(texts(flow))
    for field in ("failed", "uncertain", "operationId"):
        assert f"outputs('{name}')?['body/{field}'], outputs('{name}')?['body/operation/{field}']" in text
