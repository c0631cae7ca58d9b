"""What the queries of requests may say: one table for all HTTP functions.

A query is read from the URL as it was sent. The host drops empty values, and merges names that differ only in case,
before a function sees them as ``req.params``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import azure.functions as func

from functions.http.query import Query
from shared.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Parameter:
    """One name in a query.

    Attributes:
        never_empty: Whether an empty value is refused; of the others it counts as absent.
        of_links: Whether only links that the app made carry it.
    """

    name: str
    never_empty: bool = False
    of_links: bool = False


@dataclass(frozen=True, slots=True)
class Flag(Parameter):
    """Is ``true`` or ``false``."""

    never_empty: bool = True
    default: bool = False


@dataclass(frozen=True, slots=True)
class WholeNumber(Parameter):
    """Is a whole number from ``least`` to ``most``."""

    default: int = 0
    least: int = 1
    most: int = 1000


DRY_RUN: Final = Flag("dryRun")
WAIT_FOR_RUN: Final = Flag("wait")
WAIT: Final = Flag("wait", default=True)
ATOMIC: Final = Flag("atomic")
WITH_CHANGES: Final = Flag("changes", never_empty=False)
UNCERTAIN: Final = Flag("uncertain", never_empty=False)
SOURCE: Final = Parameter("source")
BEFORE: Final = Parameter("before", never_empty=True)
DATE: Final = Parameter("date")
RUNS_TOP: Final = WholeNumber("top", default=20, most=200)
RECORDS_TOP: Final = WholeNumber("top", default=100)
AFTER: Final = Parameter("after", of_links=True)
TOKEN: Final = Parameter("token", of_links=True)

SELECT: Final = Parameter("select")
FILTER: Final = Parameter("filter")
ORDERBY: Final = Parameter("orderby")
ROWS_TOP: Final = WholeNumber("top", default=100)
FORMAT: Final = Parameter("format")
SINCE: Final = Parameter("since")
CHANGE: Final = Parameter("change")
BY: Final = Parameter("by")
DAYS: Final = WholeNumber("days", default=30, most=3650)
DATASET: Final = Parameter("dataset")
TRIGGER_STATE: Final = Parameter("triggerState", of_links=True)
OF_REPORTS: Final = tuple(Parameter(name) for name in ("active", "days", "failed", "percent", "premium"))
"""What the reports together can be asked with; each takes its own."""

ANYTHING: Final = None
"""Whatever a query says is ignored: probes and caches add names of their own."""

QUERIES: Final[Mapping[str, tuple[Parameter, ...] | None]] = {
    "start_harvest": (DRY_RUN,),
    "list_runs": (SOURCE, RUNS_TOP, AFTER),
    "get_run": (WAIT_FOR_RUN,),
    "resume_run": (),
    "cancel_run": (),
    "rebuild_table": (WITH_CHANGES,),
    "list_datasets": (SOURCE,),
    "get_latest": (),
    "submit_records": (WAIT, ATOMIC),
    "list_due_records": (BEFORE, RECORDS_TOP, TOKEN),
    "destroy_records": (DRY_RUN, WAIT, ATOMIC),
    "list_operations": (DATE, UNCERTAIN, AFTER),
    "get_operation": (),
    "poll_operation": (TOKEN,),
    "cancel_operation": (),
    "resolve_operation": (),
    "list_snapshots": (ROWS_TOP, TOKEN),
    "get_schema": (),
    "list_items": (SELECT, FILTER, ORDERBY, ROWS_TOP, FORMAT, TOKEN),
    "list_changes": (SINCE, CHANGE, ROWS_TOP, FORMAT, TOKEN),
    "get_history": (BY, DAYS),
    "list_reports": (),
    "get_report": (FORMAT, *OF_REPORTS),
    "on_snapshot": (SOURCE, DATASET, TRIGGER_STATE),
    "on_change": (SOURCE, DATASET, CHANGE, TRIGGER_STATE),
    "health": ANYTHING,
    "health_details": (),
    "get_openapi": (),
    "status_page": ANYTHING,
    "status_file": ANYTHING,
}
"""The names that the query of each HTTP function may have."""


def check_query(req: func.HttpRequest, function: str) -> None:
    """Refuse a query that says something the function does not understand.

    Raises:
        InvalidInput: A name is unknown or stands twice, a value is missing, or the query is too long.
    """
    known = QUERIES[function]
    if known is ANYTHING:
        return
    query = Query.of(req, [parameter.name for parameter in known])
    given = [parameter for parameter in known if query.text(parameter.name)]
    if not any(parameter.of_links for parameter in given):
        query.check_size()
    for parameter in known:
        if parameter.never_empty and parameter.name in query.empty:
            name = parameter.name
            raise InvalidInput(f"{name} has no value", target=name, remedy=f"Give it a value, or leave {name} out.")
