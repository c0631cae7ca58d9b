"""What a person building a flow sees of each HTTP function; its method, route and level are known from the function."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Literal

from shared.avepoint.platform import SOURCES
from tools.connector.dropdowns import dropdown
from tools.connector.schemas import Schema

type Visibility = Literal["important", "advanced", "internal"]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a path, query or header.

    Attributes:
        type: Its type and limits, in the words of Swagger.
        choices: What fills its dropdown.
    """

    name: str
    summary: str
    description: str
    type: Schema = field(default_factory=lambda: {"type": "string"})
    required: bool = False
    visibility: Visibility = "advanced"
    choices: Schema = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Action:
    """One HTTP function.

    Attributes:
        answer: The definition of what 200 carries.
        ok: When 200 comes; where nothing is answered but 202, when that comes, and ``answer`` is empty.
        body: The definition of the request body, if there is one.
        errors: The error statuses beyond those of every function.
        lasts: Whether 202 says that the work goes on.
        trigger: Whether it starts flows: 202 then says that there is nothing new.
        visibility: How prominent it is; ``None`` between important and advanced.
    """

    summary: str
    description: str
    answer: str
    ok: str
    body: str | None = None
    query: tuple[Parameter, ...] = ()
    headers: tuple[Parameter, ...] = ()
    errors: frozenset[HTTPStatus] = frozenset()
    lasts: bool = False
    pages: bool = False
    trigger: bool = False
    visibility: Visibility | None = None


def _one_of(*words: str) -> Schema:
    return {"type": "string", "enum": list(words)}


def _number(**limits: int) -> Schema:
    return {"type": "integer", "format": "int32", **limits}


_SOURCE = _one_of(*SOURCES)

PATH: Mapping[str, Parameter] = {
    one.name: one
    for one in (
        Parameter("source", "Source", "The service that the dataset comes from.", _SOURCE),
        Parameter(
            "dataset", "Dataset", "The name of the dataset.", choices=dropdown("ListDatasets", "name", source="source")
        ),
        Parameter(
            "runId",
            "Run ID",
            "The ID of the run, from Start a harvest or List runs.",
            choices=dropdown("ListRuns", "runId"),
        ),
        Parameter(
            "opusConnectionId",
            "Opus Connection ID",
            "The ID in the connection file that you can download from Opus.",
            {"type": "string", "format": "uuid"},
        ),
        Parameter("operationId", "Operation ID", "The ID of the operation, from Submit records or Destroy records."),
        Parameter("report", "Report", "The name of the report.", choices=dropdown("ListReports", "name")),
    )
}
"""The parameters of paths; they are always required."""


def _flag(name: str, summary: str, description: str, *, default: bool = False) -> Parameter:
    return Parameter(name, summary, description, {"type": "boolean", "default": default})


def _top(default: int, most: int) -> Parameter:
    limits = _number(minimum=1, maximum=most, default=default)
    return Parameter("top", "Top", f"How many to list at most, from 1 to {most}.", limits)


def _key(*, required: bool) -> Parameter:
    return Parameter(
        "Idempotency-Key",
        "Idempotency Key",
        "A name for this call: calls with the same key act only once. The ID of the flow run is a good key.",
        {"type": "string", "minLength": 1, "maxLength": 255},
        required=required,
        visibility="important",
    )


_DRY_RUN = _flag("dryRun", "Dry Run", "Say what the call would do, and do nothing.")
_WAIT = _flag(
    "wait",
    "Wait",
    "Wait for the outcome. If No, you get the operation at once, and call Get an operation until it has ended.",
    default=True,
)
_ATOMIC = _flag("atomic", "All or Nothing", "Submit nothing if one of the records breaks a rule.")
_UNCERTAIN = _flag("uncertain", "Uncertain", "Only uncertain operations, of all days: a person has to resolve them.")
_AFTER = Parameter("after", "After", "The position in the list; next links contain it.", visibility="internal")
_PLACE = Parameter("token", "Token", "The position in the list; next links contain it.", visibility="internal")
_PASS = Parameter(
    "token", "Token", "The right to ask; the Location of a 202 contains it.", required=True, visibility="important"
)
_FILTER = Parameter("source", "Source", "Only entries of this service.", _SOURCE)
_DATE = Parameter(
    "date", "Date", "The day in UTC, such as 2026-01-31; today if empty.", {"type": "string", "format": "date"}
)
_BEFORE = Parameter(
    "before",
    "Before",
    "The time up to which records are due, such as 2026-01-31T00:00:00Z; now if empty.",
    {"type": "string", "format": "date-time"},
    visibility="important",
)

_SELECT = Parameter("select", "Columns", "Names of columns, separated by commas; every column if empty.")
_ROWS = Parameter(
    "filter",
    "Filter",
    "Which rows, for example: ownerStatus ne 'Active' and createdOn lt 2026-01-01T00:00:00Z. As in OData: eq ne gt ge"
    " lt le, and or not, contains startswith endswith.",
    {"type": "string", "maxLength": 2000},
    visibility="important",
)
_ORDERBY = Parameter(
    "orderby",
    "Order By",
    "A column, followed by asc or desc if you want; nulls come last.",
    choices=dropdown("GetSchema", "name", within="columns", source="source", dataset="dataset"),
)
_FORMAT = Parameter(
    "format",
    "Format",
    "For a program that wants CSV; flows take json.",
    _one_of("json", "csv"),
    visibility="internal",
)
_SINCE = Parameter("since", "Since", "The ID of a run: you get the changes after it, or if empty, the newest changes.")
_KIND = Parameter("change", "Change", "Only these changes.", _one_of("added", "removed", "changed"))
_BY = Parameter("by", "By", "The field to count by; all items if empty.")
_DATASET = Parameter("dataset", "Dataset", "Only this dataset.", choices=dropdown("ListDatasets", "name"))
_STATE = Parameter("triggerState", "State", "The position of the trigger.", visibility="internal")
_DAYS = Parameter(
    "days", "Days", "How many days to look back, from 1 to 3650.", _number(minimum=1, maximum=3650, default=30)
)

_OF_REPORTS = (
    Parameter("days", "Days", "The number of days, in reports with this parameter.", _number()),
    Parameter("percent", "Percent", "The smallest percentage, in reports with this parameter.", _number()),
    Parameter("active", "Active", "The statuses of an owner that mean active, separated by commas."),
    Parameter("failed", "Failed", "The statuses of a job that count as failed, separated by commas."),
    Parameter("premium", "Premium", "The tiers of a connector that need a premium licence, separated by commas."),
)

_CHANGES = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT})
_READS = frozenset({HTTPStatus.BAD_REQUEST})
_ORDERS = _CHANGES | {HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY}
_ASKS_AVEPOINT = _READS | {HTTPStatus.FAILED_DEPENDENCY, HTTPStatus.TOO_MANY_REQUESTS}
_MISSING = HTTPStatus.NOT_FOUND
_READS_ONE = _READS | {_MISSING}
_CHANGES_ONE = _CHANGES | {_MISSING}
_READS_TABLE = _CHANGES_ONE
_LISTS_TABLE = _READS_TABLE | {HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.GONE}

ACTIONS: Mapping[str, Action] = {
    "start_harvest": Action(
        summary="Start a harvest",
        description="Harvests datasets of a service into storage. While the same harvest still runs, you get that run.",
        body="HarvestRequest",
        answer="RunOrPlan",
        ok="The run, once it has ended; with Dry Run, what it would do.",
        query=(_DRY_RUN,),
        errors=_CHANGES,
        lasts=True,
        visibility="important",
    ),
    "list_runs": Action(
        summary="List runs",
        description="Lists the newest runs of one service or of all, with the outcome of each dataset.",
        answer="Runs",
        ok="The runs, newest first.",
        query=(_FILTER, _top(20, 200), _AFTER),
        errors=_READS,
        pages=True,
    ),
    "get_run": Action(
        summary="Get a run",
        description="Gets the state of a run, with the reason and the remedy of each dataset that failed.",
        answer="Run",
        ok="The run.",
        query=(_flag("wait", "Wait", "Answer after the run has ended; until then the flow asks again by itself."),),
        errors=_READS_ONE,
        lasts=True,
        visibility="important",
    ),
    "resume_run": Action(
        summary="Resume a run",
        description="Repeats what failed in a run, from the point where it stopped.",
        answer="Run",
        ok="The run in its current state.",
        errors=_CHANGES_ONE,
        visibility="advanced",
    ),
    "cancel_run": Action(
        summary="Cancel a run",
        description="Ends a run; snapshots that it has published stay.",
        answer="Run",
        ok="The run in its current state.",
        errors=_CHANGES_ONE,
        visibility="advanced",
    ),
    "rebuild_table": Action(
        summary="Rebuild a table",
        description="Rebuilds the tables of a dataset from its snapshots.",
        answer="",
        ok="The rebuild is requested; List datasets says when the table is current.",
        query=(_flag("changes", "Changes", "Also rebuild the changes, from all snapshots that still exist."),),
        errors=_CHANGES_ONE,
        visibility="advanced",
    ),
    "list_datasets": Action(
        summary="List datasets",
        description="Lists every dataset with its newest snapshot: its age, its verdict, and how many items it holds.",
        answer="Datasets",
        ok="The datasets.",
        query=(_FILTER,),
        errors=_READS,
        visibility="important",
    ),
    "get_latest": Action(
        summary="Get the newest snapshot",
        description="Gets the manifest of the newest snapshot of a dataset, with the blobs that hold its items.",
        answer="Manifest",
        ok="The manifest.",
        errors=_READS_ONE,
        visibility="important",
    ),
    "list_items": Action(
        summary="List rows",
        description="Lists the rows of the table of a dataset: the current items, filtered and sorted.",
        answer="Rows",
        ok="The rows of this page.",
        query=(_SELECT, _ROWS, _ORDERBY, _top(100, 1000), _FORMAT, _PLACE),
        errors=_LISTS_TABLE,
        pages=True,
        visibility="important",
    ),
    "get_schema": Action(
        summary="Describe a table",
        description="Describes the columns of the table of a dataset, their meaning, and how they changed.",
        answer="TableDescription",
        ok="The columns, and the drift.",
        errors=_READS_TABLE,
    ),
    "list_changes": Action(
        summary="List changes",
        description="Lists what was added, removed or changed in a dataset since a run.",
        answer="Changes",
        ok="The changes of this page.",
        query=(_SINCE, _KIND, _top(100, 1000), _FORMAT, _PLACE),
        errors=_LISTS_TABLE,
        pages=True,
        visibility="important",
    ),
    "list_snapshots": Action(
        summary="List snapshots",
        description="Lists the snapshots of a dataset, the newest first, published or not.",
        answer="Snapshots",
        ok="The snapshots of this page.",
        query=(_top(100, 1000), _PLACE),
        errors=_READS_ONE,
        pages=True,
    ),
    "get_history": Action(
        summary="Get the history of a dataset",
        description="Counts the items of a dataset for each day, in total or by the values of a field.",
        answer="History",
        ok="The counts, the oldest day first.",
        query=(_BY, _DAYS),
        errors=_READS_TABLE,
    ),
    "list_reports": Action(
        summary="List reports",
        description="Lists the reports, with the datasets that each needs.",
        answer="Reports",
        ok="The reports.",
    ),
    "get_report": Action(
        summary="Get a report",
        description="Makes a report from the current tables: who owns what, what nobody uses, what is shared widely.",
        answer="Report",
        ok="The rows of the report.",
        query=(_FORMAT, *_OF_REPORTS),
        errors=_READS_TABLE | {HTTPStatus.REQUEST_ENTITY_TOO_LARGE},
        visibility="important",
    ),
    "on_snapshot": Action(
        summary="When a snapshot is published",
        description="Starts a flow for each published snapshot.",
        answer="SnapshotEvents",
        ok="The new snapshots.",
        query=(_FILTER, _DATASET, _STATE),
        errors=_READS,
        lasts=True,
        trigger=True,
        visibility="important",
    ),
    "on_change": Action(
        summary="When an item is added, removed or changed",
        description="Starts a flow for each change of an item.",
        answer="ChangeEvents",
        ok="The new changes.",
        query=(_FILTER, _DATASET, _KIND, _STATE),
        errors=_CHANGES,
        lasts=True,
        trigger=True,
        visibility="important",
    ),
    "submit_records": Action(
        summary="Submit records",
        description="Submits records to a connection of Opus, and gets the outcome of each record.",
        body="SubmitRequest",
        answer="Operation",
        ok="The outcome of the records; some may have failed.",
        query=(_WAIT, _ATOMIC),
        headers=(_key(required=False),),
        errors=_ORDERS,
        lasts=True,
        visibility="important",
    ),
    "list_due_records": Action(
        summary="List records due for disposal",
        description="Lists the records of a connection that are due. Collect all pages before you destroy records.",
        answer="DueRecords",
        ok="The records of this page.",
        query=(_BEFORE, _top(100, 1000), _PLACE),
        errors=_ASKS_AVEPOINT,
        pages=True,
        visibility="important",
    ),
    "destroy_records": Action(
        summary="Destroy records",
        description="Marks records as destroyed in Opus, and gets the outcome of each record. You cannot undo this.",
        body="DestroyRequest",
        answer="OperationOrRehearsal",
        ok="The outcome of the records; with Dry Run, the requests that would be sent.",
        query=(_DRY_RUN, _WAIT, _ATOMIC),
        headers=(_key(required=True),),
        errors=_ORDERS,
        lasts=True,
        visibility="important",
    ),
    "list_operations": Action(
        summary="List operations",
        description="Lists the submits and destroys of a day, or those whose outcome is uncertain.",
        answer="Operations",
        ok="The operations of this page, sorted by time.",
        query=(_DATE, _UNCERTAIN, _AFTER),
        errors=_READS,
        pages=True,
    ),
    "get_operation": Action(
        summary="Get an operation",
        description="Gets the outcome of a submit or a destroy.",
        answer="Operation",
        ok="The operation.",
        errors=frozenset({_MISSING, HTTPStatus.UNPROCESSABLE_ENTITY}),
        lasts=True,
    ),
    "poll_operation": Action(
        summary="Follow an operation",
        description="Gets the outcome of an operation, for callers with the Location of a 202.",
        answer="Operation",
        ok="The operation.",
        query=(_PASS,),
        errors=_READS | {HTTPStatus.UNAUTHORIZED, _MISSING, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.BAD_GATEWAY},
        lasts=True,
        visibility="internal",
    ),
    "cancel_operation": Action(
        summary="Cancel an operation",
        description=(
            "Stops what a submit or a destroy has not sent yet. What was sent is not undone. If a batch is being sent, "
            "the operation ends after it."
        ),
        answer="Operation",
        ok="The operation, which has ended.",
        errors=frozenset({_MISSING}),
        lasts=True,
    ),
    "resolve_operation": Action(
        summary="Resolve uncertain items",
        description="Records what a person has seen in Opus about the uncertain items of an operation.",
        body="ResolveRequest",
        answer="Operation",
        ok="The operation in its current state.",
        errors=_CHANGES_ONE,
        visibility="advanced",
    ),
    "health": Action(
        summary="Check whether the app is well",
        description="Says whether the app can work.",
        answer="Health",
        ok="The app can work.",
        visibility="advanced",
    ),
    "health_details": Action(
        summary="Check the app in detail",
        description="Checks everything that the app depends on, and says what to do about each problem.",
        answer="HealthDetails",
        ok="Every check.",
        visibility="advanced",
    ),
}
"""Every HTTP function, in the order in which the connector lists them."""

OF_PROGRAMS: Mapping[str, Action] = {
    "get_openapi": Action(
        summary="Describe this API",
        description="Gives this description for programs, with the address of the app in it.",
        answer="OpenAPI",
        ok="The description.",
    ),
}
"""HTTP functions that no flow needs: they are not in the connector."""
