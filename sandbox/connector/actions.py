"""What a person building a flow sees of each HTTP function; its method, route and level are known from the function."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Literal

from sandbox.connector.dropdowns import dropdown
from sandbox.connector.schemas import Schema
from shared.avepoint.platform import SOURCES

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
        ok: When 200 comes.
        body: The definition of the request body, if there is one.
        errors: The error statuses beyond those of every function.
        lasts: Whether 202 says that the work goes on.
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
    visibility: Visibility | None = None


_SOURCE: Schema = {"type": "string", "enum": list(SOURCES)}

PATH: Mapping[str, Parameter] = {
    one.name: one
    for one in (
        Parameter("source", "Source", "The service the dataset comes from.", _SOURCE),
        Parameter(
            "dataset", "Dataset", "The name of the dataset.", choices=dropdown("ListDatasets", "name", source="source")
        ),
        Parameter(
            "runId",
            "Run ID",
            "The ID of the run, as Start a harvest or List runs gives it.",
            choices=dropdown("ListRuns", "runId"),
        ),
        Parameter(
            "opusConnectionId",
            "Opus Connection ID",
            "The ID in the connection file that Opus lets you download.",
            {"type": "string", "format": "uuid"},
        ),
        Parameter("operationId", "Operation ID", "The ID that Submit records or Destroy records gave."),
    )
}
"""The parameters of paths; they are always required."""


def _flag(name: str, summary: str, description: str, *, default: bool = False) -> Parameter:
    return Parameter(name, summary, description, {"type": "boolean", "default": default})


def _top(default: int, most: int) -> Parameter:
    limits = {"type": "integer", "format": "int32", "minimum": 1, "maximum": most, "default": default}
    return Parameter("top", "Top", f"How many to list at most, from 1 to {most}.", limits)


def _key(*, required: bool) -> Parameter:
    return Parameter(
        "Idempotency-Key",
        "Idempotency Key",
        "A name for this call: a repetition with the same key never acts twice. The ID of the flow run is a good one.",
        {"type": "string", "minLength": 1, "maxLength": 255},
        required=required,
        visibility="important",
    )


_DRY_RUN = _flag("dryRun", "Dry Run", "Say what would be done, and do nothing.")
_WAIT = _flag(
    "wait",
    "Wait",
    "Wait for the outcome. If not, you get the operation at once, and ask with Get an operation until it has ended.",
    default=True,
)
_ATOMIC = _flag("atomic", "All or Nothing", "Submit nothing if one of the records breaks a rule.")
_UNCERTAIN = _flag("uncertain", "Uncertain", "Those of every day whose outcome waits for the word of a person.")
_AFTER = Parameter("after", "After", "The mark of the last operation seen; next links carry it.", visibility="internal")
_PLACE = Parameter("token", "Token", "The place in the list; next links carry it.", visibility="internal")
_PASS = Parameter(
    "token", "Token", "The right to ask; the Location of a 202 carries it.", required=True, visibility="important"
)
_FILTER = Parameter("source", "Source", "Only what comes from this service.", _SOURCE)
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

_CHANGES = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT})
_READS = frozenset({HTTPStatus.BAD_REQUEST})
_ORDERS = _CHANGES | {HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY}
_ASKS_AVEPOINT = _READS | {HTTPStatus.FAILED_DEPENDENCY, HTTPStatus.TOO_MANY_REQUESTS}
_MISSING = HTTPStatus.NOT_FOUND

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
        description="Lists the newest runs of one service or of all, with what became of each dataset.",
        answer="Runs",
        ok="The runs, newest first.",
        query=(_FILTER, _top(20, 200)),
        errors=_READS,
    ),
    "get_run": Action(
        summary="Get a run",
        description="Says how a run stands, with the reason and the remedy of each dataset that failed.",
        answer="Run",
        ok="The run.",
        query=(_flag("wait", "Wait", "Answer once the run has ended; until then the flow asks again by itself."),),
        errors=_READS | {_MISSING},
        lasts=True,
        visibility="important",
    ),
    "resume_run": Action(
        summary="Resume a run",
        description="Tries again what failed in a run, from where it stopped.",
        answer="Run",
        ok="The run, as it stands now.",
        errors=_CHANGES | {_MISSING},
        visibility="advanced",
    ),
    "cancel_run": Action(
        summary="Cancel a run",
        description="Ends a run; what it has published stays.",
        answer="Run",
        ok="The run, as it stands now.",
        errors=_CHANGES | {_MISSING},
        visibility="advanced",
    ),
    "list_datasets": Action(
        summary="List datasets",
        description="Lists every dataset with its newest snapshot: its age, how whole it is, how many items it holds.",
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
        errors=_READS | {_MISSING},
        visibility="important",
    ),
    "submit_records": Action(
        summary="Submit records",
        description="Submits records to a connection of Opus, and says what became of each.",
        body="SubmitRequest",
        answer="Operation",
        ok="What became of the records; some may have failed.",
        query=(_WAIT, _ATOMIC),
        headers=(_key(required=False),),
        errors=_ORDERS,
        lasts=True,
        visibility="important",
    ),
    "list_due_records": Action(
        summary="List records due for disposal",
        description="Lists the records of a connection that are due. Collect all pages before you destroy any of them.",
        answer="DueRecords",
        ok="The records of this page.",
        query=(_BEFORE, _top(100, 1000), _PLACE),
        errors=_ASKS_AVEPOINT,
        pages=True,
        visibility="important",
    ),
    "destroy_records": Action(
        summary="Destroy records",
        description="Marks records as destroyed in Opus, and says what became of each. This cannot be undone.",
        body="DestroyRequest",
        answer="OperationOrRehearsal",
        ok="What became of the records; with Dry Run, what would be sent.",
        query=(_DRY_RUN, _WAIT),
        headers=(_key(required=True),),
        errors=_ORDERS,
        lasts=True,
        visibility="important",
    ),
    "list_operations": Action(
        summary="List operations",
        description="Lists the submits and destroys of a day, or those whose outcome is uncertain.",
        answer="Operations",
        ok="The operations of this page, in order of time.",
        query=(_DATE, _UNCERTAIN, _AFTER),
        errors=_READS,
        pages=True,
    ),
    "get_operation": Action(
        summary="Get an operation",
        description="Says what became of a submit or a destroy.",
        answer="Operation",
        ok="The operation.",
        errors=frozenset({_MISSING, HTTPStatus.UNPROCESSABLE_ENTITY}),
        lasts=True,
    ),
    "poll_operation": Action(
        summary="Follow an operation",
        description="Says what became of an operation, to whoever has the Location of a 202.",
        answer="Operation",
        ok="The operation.",
        query=(_PASS,),
        errors=frozenset({HTTPStatus.UNAUTHORIZED, _MISSING, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.BAD_GATEWAY}),
        lasts=True,
        visibility="internal",
    ),
    "resolve_operation": Action(
        summary="Resolve uncertain items",
        description="Writes down what a person who has looked into Opus says of the uncertain items of an operation.",
        body="ResolveRequest",
        answer="Operation",
        ok="The operation, as it stands now.",
        errors=_CHANGES | {_MISSING},
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
        description="Checks everything the app depends on, and says what to do about what is wrong.",
        answer="HealthDetails",
        ok="Every check.",
        visibility="advanced",
    ),
}
"""Every HTTP function, in the order in which the connector lists them."""
