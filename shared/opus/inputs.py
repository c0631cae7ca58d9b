"""What callers send: the bodies of submit and destroy, validated and turned into orders."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from math import isfinite
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, StringConstraints

from shared.avepoint.opus import ConflictOption
from shared.errors import Detail, InvalidInput, TooLarge
from shared.opus.dates import Dates, parse_time, zoned_time

_KEY = re.compile(r"[\x21-\x7e][\x20-\x7e]{0,254}")


def _time(value: object) -> datetime:
    if not isinstance(value, str):
        raise ValueError("a time such as 2026-01-15T08:30:00Z is wanted")  # noqa: TRY004 - pydantic wants ValueError
    return parse_time(value)


def _column(value: JsonValue) -> JsonValue:
    """A custom column holds text, a number, a truth value, or a list of texts or numbers (AvePoint Opus user guide)."""
    listed = value if isinstance(value, list) else []
    if not all(_plain(entry) for entry in listed) or not (_plain(value) or isinstance(value, list | bool | None)):
        raise ValueError("a text, number, truth value, or list of texts or numbers is wanted")
    return value


def _plain(value: JsonValue) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
    return number or isinstance(value, str)


Text = Annotated[str, StringConstraints(pattern=r"\S")]
Time = Annotated[datetime, BeforeValidator(_time)]
Column = Annotated[JsonValue, AfterValidator(_column)]


class RecordInput(BaseModel):
    """One record; names beyond the documented ones are internal names of custom columns."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Column] = Field(init=False)

    row_key: Text = Field(alias="rowKey")
    leaf_name: Text = Field(alias="leafName")
    term_full_path: str | None = Field(None, alias="termFullPath")
    time_created: Time = Field(alias="timeCreated")
    time_modified: Time = Field(alias="timeModified")
    created_by: Text = Field(alias="createdBy")
    modified_by: Text = Field(alias="modifiedBy")

    def for_opus(self, dates: Dates) -> dict[str, JsonValue]:
        """The record as Opus wants it: every time in the tenant's format, and nothing for what has no value."""
        written = {name: _for_opus(value, dates) for name, value in self.model_dump(by_alias=True).items()}
        return {name: value for name, value in written.items() if value is not None}


class SubmitInput(BaseModel):
    """The body of a submit."""

    model_config = ConfigDict(extra="forbid")

    conflict_option: ConflictOption = Field(alias="conflictOption")
    records: list[RecordInput] = Field(min_length=1)

    def check(self, *, most: int) -> None:
        """See to what the shape cannot say.

        Raises:
            TooLarge: There are more than ``most`` records.
            InvalidInput: Row keys repeat.
        """
        require_at_most(most, len(self.records), target="records", setting="OPUS_SUBMIT_MAX_RECORDS")
        require_unique([record.row_key for record in self.records], place="records[{}].rowKey")


class DestroyInput(BaseModel):
    """The body of a destroy; connection and date let an uncertain outcome be looked up."""

    model_config = ConfigDict(extra="forbid")

    ids: list[Text] = Field(min_length=1)
    connection: UUID | None = Field(None, alias="opusConnectionId")
    before: Time | None = None

    def check(self, *, most: int) -> None:
        """See to what the shape cannot say.

        Raises:
            TooLarge: There are more than ``most`` ids.
            InvalidInput: Ids repeat.
        """
        require_at_most(most, len(self.ids), target="ids", setting="OPUS_DESTROY_MAX_IDS")
        require_unique(self.ids, place="ids[{}]")


def connection_id(text: str) -> str:
    """The GUID of a connection, in lower case.

    Raises:
        InvalidInput: It is none.
    """
    try:
        return str(UUID(text))
    except ValueError:
        raise InvalidInput(
            f"{text!r} is no GUID",
            target="opusConnectionId",
            remedy="The id of a connection stands in the connection file that Opus lets you download.",
        ) from None


def due_before(text: str | None, dates: Dates, *, now: datetime) -> datetime:
    """The instant until which records are due; ``now`` when the caller names none.

    Raises:
        InvalidInput: It is no RFC 3339 time.
    """
    try:
        return dates.instant(parse_time(text)) if text else now
    except ValueError as error:
        raise InvalidInput(f"before: {error}", target="before") from None


def idempotency_key(headers: Mapping[str, str]) -> str | None:
    """The key under which a call acts once.

    Raises:
        InvalidInput: It is empty, longer than 255 characters, or not printable ASCII.
    """
    key = headers.get("Idempotency-Key", headers.get("Repeatability-Request-ID"))
    if key is not None and not _KEY.fullmatch(key):
        raise InvalidInput("an Idempotency-Key has 1 to 255 printable ASCII characters", target="Idempotency-Key")
    return key


def require_at_most(most: int, count: int, *, target: str, setting: str) -> None:
    """Refuse more items at once than a setting allows."""
    if count > most:
        raise TooLarge(
            f"{target} holds {count} items, and at most {most} are allowed in one call.",
            target=target,
            remedy=f"Send them in several calls, or raise {setting}.",
        )


def require_unique(keys: Sequence[str], *, place: str) -> None:
    """Refuse a key that stands twice in one call; ``place`` is the pattern of its name."""
    first: dict[str, int] = {}
    repeated: list[Detail] = []
    for index, key in enumerate(keys):
        if first.setdefault(key, index) != index:
            message = f"{key!r} is already at {place.format(first[key])}"
            repeated.append(Detail(place.format(index), "Duplicate", message))
    if repeated:
        message = "; ".join(f"{detail.target}: {detail.message}" for detail in repeated)
        raise InvalidInput(message, target=repeated[0].target, details=repeated)


def _for_opus(value: JsonValue | datetime, dates: Dates) -> JsonValue:
    if isinstance(value, datetime):
        return dates.written(value)
    time = zoned_time(value) if isinstance(value, str) else None
    return dates.written(time) if time else value
