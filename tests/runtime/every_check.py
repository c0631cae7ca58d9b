"""What schemathesis leaves out: an empty value of a query counts as absent."""

from typing import Any

import schemathesis


@schemathesis.hook
def filter_case(context: schemathesis.HookContext, case: schemathesis.Case[Any]) -> bool:  # noqa: ARG001 - as it asks
    return "" not in (case.query or {}).values()
