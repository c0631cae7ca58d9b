"""For how many days the templates keep things: the kinds, as preflight names them, and their parameters."""

PARAMETERS = {
    "raw": "rawDeleteAfterDays",
    "runs": "stateDeleteAfterDays",
    "operations": "operationDeleteAfterDays",
    "deleted": "softDeleteDays",
    "evidence": "evidenceDays",
    "logs": "logDays",
}
