"""Runs a workflow of Power Automate or Logic Apps as its definition says, as far as the samples need it.

Calls of this app are made; what goes to other connections is remembered, and answered by the test.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from tests.connector.expressions import Value, evaluated
from tests.connector.reading import SWAGGER
from tools.connector.schemas import Schema

OURS: Final = "avepoint"
DONE: Final = "Succeeded"


@dataclass
class Workflow:
    """One run of a workflow.

    Attributes:
        definition: What is run.
        app: Calls the app; where the connector does it, with its key.
        given: The parameters that are set.
        answers: What other connections answer, by the name or path of the operation.
        trigger: The body that the trigger brings.
        sent: What was sent to other connections, by the same.
        statuses: How each action ended.
    """

    definition: Schema
    app: httpx.AsyncClient
    given: Mapping[str, Value]
    answers: Mapping[str, Callable[[], Value]] = field(default_factory=dict)
    trigger: Value = None
    name: str = "08584652018173847612345678901CU05"
    sent: dict[str, list[Schema]] = field(default_factory=dict)
    statuses: dict[str, str] = field(default_factory=dict)
    _outputs: dict[str, Value] = field(default_factory=dict)
    _variables: dict[str, Value] = field(default_factory=dict)
    _items: dict[str, Value] = field(default_factory=dict)

    async def run(self) -> None:
        """Run every action whose time comes; those whose time never comes are skipped."""
        await self._run(self.definition["actions"])

    async def _run(self, actions: Schema) -> str:
        """Run actions that lie side by side; how the last of them ended."""
        waiting = dict(actions)
        while ready := [name for name, action in waiting.items() if not action["runAfter"].keys() & waiting.keys()]:
            for name in ready:
                action = waiting.pop(name)
                due = all(self.statuses[earlier] in wanted for earlier, wanted in action["runAfter"].items())
                self.statuses[name] = await self._act(name, action) if due else "Skipped"
        assert not waiting
        last = actions.keys() - {earlier for action in actions.values() for earlier in action["runAfter"]}
        return DONE if all(self._ended_well(name, actions) for name in last) else "Failed"

    def _ended_well(self, name: str, actions: Schema) -> bool:
        """Whether a last action went well; one that was skipped counts as those did after which it did not run."""
        if self.statuses[name] == "Skipped":
            return all(self._ended_well(earlier, actions) for earlier in actions[name]["runAfter"])
        return self.statuses[name] == DONE

    async def _act(self, name: str, action: Schema) -> str:
        inputs = action.get("inputs", {})
        match action["type"]:
            case "Scope":
                return await self._run(action["actions"])
            case "If":
                branch = action if self._holds(action["expression"]) else action["else"]
                return await self._run(branch["actions"])
            case "Foreach":
                return await self._for_each(name, action)
            case "Http":
                return self._kept(name, await self.app.send(self._plain(inputs)))
            case "OpenApiConnection" if inputs["host"]["connectionName"] == OURS:
                return await self._call(name, action)
            case "OpenApiConnection" | "OpenApiConnectionWebhook":
                self._ask(name, inputs["host"]["operationId"], inputs["parameters"])
            case "ApiConnection":
                self._ask(name, inputs["path"], inputs["body"])
            case kind:
                self._outputs[name] = self._computed(kind, inputs)
        return DONE

    async def _for_each(self, name: str, action: Schema) -> str:
        ended = []
        for item in self._value(action["foreach"]):
            self._items[name] = item
            ended.append(await self._run(action["actions"]))
        return "Failed" if "Failed" in ended else DONE

    def _ask(self, name: str, operation: str, sent: Schema) -> None:
        self.sent.setdefault(operation, []).append(self._value(sent))
        self._outputs[name] = {"body": self.answers.get(operation, dict)()}

    def _computed(self, kind: str, inputs: Schema) -> Value:
        """What an action gives that asks nobody."""
        match kind:
            case "Compose":
                return self._value(inputs)
            case "Table":
                return {"body": self._value(inputs["from"])}
            case "Select":
                return {"body": [value for _, value in self._each(inputs["from"], inputs["select"])]}
            case "Query":
                return {"body": [item for item, holds in self._each(inputs["from"], inputs["where"]) if holds]}
            case "InitializeVariable":
                self._variables |= {one["name"]: one["value"] for one in inputs["variables"]}
            case "AppendToArrayVariable":
                self._variables[inputs["name"]] = [*self._variables[inputs["name"]], self._value(inputs["value"])]
            case "AppendToStringVariable":
                self._variables[inputs["name"]] += self._value(inputs["value"])
            case _:
                raise NotImplementedError(kind)
        return None

    def _each(self, source: Value, template: Value) -> Iterator[tuple[Value, Value]]:
        """Each item of a list, with what a template makes of it."""
        for item in self._value(source):
            yield item, evaluated(template, {**self._functions(), "item": lambda item=item: item})

    def _holds(self, expression: Schema) -> bool:
        ((test, operands),) = expression.items()
        match test:
            case "not":
                return not self._holds(operands)
            case "equals":
                one, other = self._value(operands)
                return bool(one == other)
            case "greater":
                one, other = self._value(operands)
                return bool(one > other)
        raise NotImplementedError(test)

    def _value(self, template: Value) -> Value:
        return evaluated(template, self._functions())

    def _functions(self) -> dict[str, Callable[..., Value]]:
        defaults = {name: one.get("defaultValue") for name, one in self.definition["parameters"].items()}
        return {
            "body": lambda name: (self._outputs.get(name) or {}).get("body"),
            "items": self._items.__getitem__,
            "outputs": self._outputs.get,
            "parameters": {**defaults, **self.given}.__getitem__,
            "triggerOutputs": lambda: {"body": self.trigger},
            "variables": self._variables.__getitem__,
            "workflow": lambda: {"name": "workflow", "run": {"name": self.name}},
        }

    async def _call(self, name: str, action: Schema) -> str:
        """Call this app as the connector does: it follows a 202 by itself, and where wanted the pages of a list."""
        answer = await self.app.send(self._connected(action["inputs"]))
        while answer.status_code == httpx.codes.ACCEPTED:
            await asyncio.sleep(0.2)
            answer = await self.app.get(answer.headers["Location"])
        status = self._kept(name, answer)
        if "paginationPolicy" in action.get("runtimeConfiguration", {}):
            body = following = self._outputs[name]["body"]
            while link := following.get("nextLink"):
                following = (await self.app.get(link)).raise_for_status().json()
                body["value"] += following["value"]
        return status

    def _kept(self, name: str, answer: httpx.Response) -> str:
        """Keep an answer for later actions; how the call ended."""
        body = answer.json() if "json" in answer.headers.get("Content-Type", "") else answer.text
        self._outputs[name] = {"statusCode": answer.status_code, "body": body}
        return "Failed" if answer.is_error else DONE

    def _plain(self, inputs: Schema) -> httpx.Request:
        return self.app.build_request(
            inputs["method"], self._value(inputs["uri"]), headers=self._value(inputs["headers"])
        )

    def _connected(self, inputs: Schema) -> httpx.Request:
        path, method, operation = found(inputs["host"]["operationId"])
        given = self._value(inputs["parameters"])
        places = {one["name"]: one["in"] for one in operation["parameters"]}
        body = {name.removeprefix("body/"): value for name, value in given.items() if name.startswith("body/")}

        def of(place: str) -> dict[str, Any]:
            return {name: value for name, value in given.items() if places.get(name) == place}

        url = SWAGGER["basePath"] + path.format(**of("path"))
        return self.app.build_request(method, url, params=of("query"), headers=of("header"), json=body or None)


def found(operation_id: str) -> tuple[str, str, Schema]:
    """The path, the method and the rest of an operation of the connector."""
    for path, operations in SWAGGER["paths"].items():
        for method, operation in operations.items():
            if operation["operationId"] == operation_id:
                return path, method, operation
    raise KeyError(operation_id)
