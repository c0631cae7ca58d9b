"""Sense and nonsense for an operation, and what every answer is held against."""

from collections.abc import Callable
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings, strategies
from schemathesis import GenerationMode
from schemathesis import checks as known
from schemathesis.schemas import APIOperation

type Case = schemathesis.Case[Any]

CHECKS = [
    known.not_a_server_error,
    known.status_code_conformance,
    known.content_type_conformance,
    known.response_headers_conformance,
    known.response_schema_conformance,
]


def fuzz(operation: APIOperation[Any, Any, Any, Any], send: Callable[[Case], object], *, examples: int) -> None:
    """Send an operation with what its description allows, and with what it forbids."""
    modes = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)

    @given(case=strategies.one_of([operation.as_strategy(generation_mode=mode) for mode in modes]))
    @settings(
        max_examples=examples,
        phases=[Phase.generate],
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    def attempt(case: Case) -> None:
        if operation.path == "/harvests":  # a harvest would outlive the test
            case.query["dryRun"] = "true"
        send(case)

    attempt()
