"""AvePoint Opus as its legacy records connector shows it (`/api/connector/…`), on the same records.

Everything is a POST, and every answer is 200. Dates have to be in the format of the tenant's settings, which is that of
the sample, `2024-04-01 00:59:34`. The path of the dispose call is documented nowhere; here it is `DISPOSE_PATH`.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from http import HTTPStatus

from sandbox.avepoint.opus import TIMES, Item, Opus, Record, missing_of
from sandbox.avepoint.wire import Answer, RefusedError, json_answer

SUBMIT_PATH = "/api/connector/SubmitRecords"
DUE_PATH = "/api/connector/GetDueRecords"
DISPOSE_PATH = "/api/connector/DisposeRecords"
ERROR = {"message": "$message"}

_REQUIRED = ("rowKey", "leafName", *TIMES)
_FORMAT = "%Y-%m-%d %H:%M:%S"


class LegacyOpus:
    """The same three calls in their older words."""

    def __init__(self, opus: Opus) -> None:
        self._opus = opus

    def submit(self, document: Mapping[str, object], *, fail: str | None = None) -> Answer:
        failed = self._opus.take_in(document, _fault_of, fail=fail)
        answer: Item = {"Message": "Some records failed." if failed else "Success"}
        if failed:
            answer["FailedItems"] = [{"Item": item, "Message": reason} for item, reason in failed]
        return json_answer(HTTPStatus.OK, answer)

    def due(self, document: Mapping[str, object], retention: timedelta) -> Answer:
        query = {name.lower(): str(value) for name, value in document.items()}
        if not _is_written(query.get("disposalduedate")):
            raise RefusedError(HTTPStatus.BAD_REQUEST, "disposalDueDate is not in the date and time format.")
        page, index = self._opus.page(query, retention)
        shown = {"message": "Success", "pageIndex": index or "", "queriedItems": [_shown(record) for record in page]}
        return json_answer(HTTPStatus.OK, shown, items=len(page))

    def dispose(self, document: Mapping[str, object], retention: timedelta, *, fail: str | None = None) -> Answer:
        failed = [key for key, _ in self._opus.dispose(document, retention, fail=fail)]
        return json_answer(
            HTTPStatus.OK, {"message": "Some records failed." if failed else "Success", "failedItems": failed}
        )


def _fault_of(item: Item) -> str | None:
    if fault := missing_of(item, _REQUIRED):
        return fault
    unreadable = (name for name in TIMES if not _is_written(item[name]))
    return next((f"{name} is not in the date and time format." for name in unreadable), None)


def _is_written(value: object) -> bool:
    try:
        datetime.strptime(str(value), _FORMAT)  # noqa: DTZ007 - only its form counts
    except ValueError:
        return False
    return True


def _shown(record: Record) -> Item:
    return {name: value.rstrip() if isinstance(value, str) else value for name, value in record.shown().items()}
