"""The only module that knows ``azure_functions_runtime``, the code Azure itself runs for Python 3.13 and later.

It indexes the function app and runs its functions, so that every binding is decoded and encoded by the real converters.
The runtime keeps its functions in module globals: one app a process.
"""

import json
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, Self

from azure.functions.meta import Datum
from azure_functions_runtime import functions_metadata_request, start_threadpool_executor, worker_init_request
from azure_functions_runtime.native_invocation import invocation_request_native

from sandbox.host.errors import StartError

type Binding = Mapping[str, Any]  # one entry of "bindings" in function.json; the keys depend on its "type"

SCRIPT: Final = "function_app.py"


class _Enum(SimpleNamespace):
    """A protobuf message class with an enum inside: calling it makes a message."""

    def __call__(self, **fields: object) -> SimpleNamespace:
        return SimpleNamespace(**fields)


# What the runtime takes from the generated gRPC module: messages to fill and two enums.
PROTOS: Final = SimpleNamespace(
    BindingInfo=_Enum(**{"in": 0, "out": 1, "inout": 2, "undefined": 0}),
    StatusResult=_Enum(Failure=0, Success=1),
    **dict.fromkeys(
        (
            "FunctionMetadataResponse",
            "RpcException",
            "RpcFunctionMetadata",
            "RpcRetryOptions",
            "WorkerInitResponse",
            "WorkerMetadata",
        ),
        SimpleNamespace,
    ),
)


@dataclass(frozen=True, slots=True)
class Function:
    """One function as it was indexed."""

    name: str
    function_id: str
    bindings: tuple[Binding, ...]

    @property
    def trigger(self) -> Binding:
        return next(binding for binding in self.bindings if binding["type"].endswith("Trigger"))

    @property
    def others(self) -> tuple[Binding, ...]:
        """The bindings beside the trigger."""
        return tuple(binding for binding in self.bindings if binding is not self.trigger)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an invocation ended: what was returned and what each output binding was given, encoded by the runtime."""

    succeeded: bool
    returned: Datum | None = None
    outputs: tuple[tuple[str, Datum], ...] = ()


# Runs a function with its trigger input and its trigger metadata.
type Invoke = Callable[[Function, Datum, Mapping[str, Datum]], Awaitable[Outcome]]


@dataclass(frozen=True, slots=True)
class Runtime:
    """The indexed function app of this process."""

    functions: tuple[Function, ...]

    @classmethod
    async def load(cls, app: Path) -> Self:
        """Make ``app`` the current directory, import its ``function_app.py`` and index the functions.

        Raises:
            StartError: there is none, it cannot be imported, or a function is wrong.
        """
        if not (app / SCRIPT).is_file():
            raise StartError(f"{app} holds no {SCRIPT}")
        os.chdir(app)
        sys.path.insert(0, str(app))
        start_threadpool_executor()
        await _index(app)
        found = (await functions_metadata_request(None)).function_metadata_results
        if not found:
            raise StartError(f"{app / SCRIPT} defines no function")
        return cls(tuple(map(_function, found)))

    async def invoke(
        self, function: Function, invocation_id: str, trigger: Datum, metadata: Mapping[str, Datum]
    ) -> Outcome:
        """Run a function with its trigger input; the runtime logs the traceback of a failure."""
        inputs = [(function.trigger["name"], trigger)]
        succeeded, returned, outputs, _, _ = await invocation_request_native(
            invocation_id, function.function_id, inputs, metadata
        )
        return Outcome(succeeded, returned, tuple(outputs))


async def _index(app: Path) -> None:
    init = SimpleNamespace(capabilities={}, function_app_directory=str(app))
    request = SimpleNamespace(
        request=SimpleNamespace(worker_init_request=init), properties={"host": "127.0.0.1", "protos": PROTOS}
    )
    result = (await worker_init_request(request)).result
    if result.status == PROTOS.StatusResult.Failure:
        raise StartError(f"{SCRIPT} does not load: {result.exception.message}", result.exception.stack_trace)


def _function(metadata: SimpleNamespace) -> Function:
    return Function(metadata.name, metadata.function_id, tuple(map(json.loads, metadata.raw_bindings)))
