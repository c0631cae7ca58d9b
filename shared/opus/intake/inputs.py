"""What callers send: the bodies of submit, destroy and resolve, validated and turned into what is stored."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, NoReturn, Self
from uuid import UUID

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)
from pydantic_core import ErrorDetails

from shared.avepoint.opus import ConflictOption
from shared.errors import Detail, InvalidInput, TooLarge
from shared.opus.intake.columns import TAGS, RecordColumn, Time, written
from shared.opus.intake.dates import Dates, parse_record_time
from shared.opus.ledger.documents import FailedItem, Resolved

_KEY = re.compile(r"[\x21-\x7e][\x20-\x7e]{0,254}")
_LOST_PLUS = re.compile(r":\d\d(\.\d+)? \d\d:\d\d$", re.ASCII)
"""An offset behind a blank, which is what a + in a query means."""
_GUID = re.compile(r"[0-9A-Fa-f]{8}-?([0-9A-Fa-f]{4}-?){3}[0-9A-Fa-f]{12}")

Text = Annotated[str, StringConstraints(pattern=r"\S")]


class RecordInput(BaseModel):
    """One record. Names beyond the documented ones are the internal names of custom columns."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, RecordColumn] = Field(init=False)

    row_key: Text = Field(alias="rowKey", description="The unique key of the record in its connection.")
    leaf_name: Text = Field(alias="leafName", description="The name of the record.")
    term_full_path: str | None = Field(
        None, alias="termFullPath", description="The full path of the term that classifies the record in Opus."
    )
    time_created: Time = Field(
        alias="timeCreated",
        description="When the record was created, in RFC 3339 with its zone.",
    )
    time_modified: Time = Field(
        alias="timeModified",
        description="When the record was last modified, in RFC 3339 with its zone.",
    )
    created_by: Text = Field(alias="createdBy", description="Who created the record.")
    modified_by: Text = Field(alias="modifiedBy", description="Who last modified the record.")

    @model_validator(mode="after")
    def _has_usable_names(self) -> Self:
        """Refuse a column that Opus would take for another one, or for none."""
        for name in self.model_extra or ():
            if not name.strip():
                raise ValueError("a column needs a name")
            if meant := _DOCUMENTED.get(name.casefold()):
                raise ValueError(f"{name!r} is spelt {meant!r}")
        return self

    def for_opus(self, dates: Dates) -> dict[str, object]:
        """Return the record as Opus wants it: every time in the tenant's format, and nothing for what has no value."""
        values: dict[str, object] = {
            "rowKey": self.row_key,
            "leafName": self.leaf_name,
            "timeCreated": dates.written(self.time_created),
            "timeModified": dates.written(self.time_modified),
            "createdBy": self.created_by,
            "modifiedBy": self.modified_by,
        }
        if self.term_full_path is not None:
            values["termFullPath"] = self.term_full_path
        if columns := self.model_extra:
            values |= {name: text for name, value in columns.items() if (text := written(value, dates)) is not None}
        return values


_DOCUMENTED = {field.alias.casefold(): field.alias for field in RecordInput.model_fields.values() if field.alias}


@dataclass(frozen=True, slots=True)
class BadRecord:
    """A record that breaks rules, as the caller wrote it."""

    value: JsonValue
    faults: tuple[Detail, ...]

    @property
    def fields(self) -> dict[str, object]:
        """What there is of it."""
        return {**self.value} if isinstance(self.value, dict) else {}

    @property
    def row_key(self) -> str:
        """Its row key, as far as it has one."""
        key = self.fields.get("rowKey")
        return key if isinstance(key, str) else ""

    def failed(self, index: int) -> FailedItem:
        """Return the outcome of the record."""
        message = "; ".join(f"{fault.target}: {fault.message}".removeprefix(": ") for fault in self.faults)
        return FailedItem(index=index, id=self.row_key, code="InvalidRecord", message=message)

    def details(self, index: int) -> list[Detail]:
        """Its faults, with their place in the request."""
        place = f"records[{index}]"
        return [
            Detail(f"{place}.{fault.target}" if fault.target else place, fault.code, fault.message)
            for fault in self.faults
        ]


def _apart(value: JsonValue, read: ValidatorFunctionWrapHandler) -> RecordInput | BadRecord:
    """Keep a bad record, so that it does not stand in the way of the good ones."""
    if not isinstance(value, dict):
        return BadRecord(value, (Detail("", "object_type", "must be an object"),))
    try:
        record: RecordInput = read(value)
    except ValidationError as error:
        return BadRecord(value, tuple(_fault(fault) for fault in error.errors()))
    return record


def _fault(fault: ErrorDetails) -> Detail:
    """Return a broken rule, at a place such as ``RecordColumn.value[3]``."""
    first, rest = fault["loc"][:1], (step for step in fault["loc"][1:] if step not in TAGS)
    place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in (*first, *rest))
    return Detail(place.removeprefix("."), fault["type"], broken_rule(fault))


def broken_rule(fault: ErrorDetails) -> str:
    """Return the rule that a body breaks, in words for a caller."""
    if fault["type"] == "string_pattern_mismatch":  # the only pattern is that of Text
        return "must not be blank"
    return fault["msg"].removeprefix("Value error, ")


if TYPE_CHECKING:
    type Entry = RecordInput | BadRecord
else:  # the schema knows good records only
    Entry = Annotated[RecordInput, WrapValidator(_apart)]


class SubmitInput(BaseModel):
    """The body of a submit."""

    model_config = ConfigDict(extra="forbid")

    conflict_option: ConflictOption = Field(
        alias="conflictOption",
        description="What happens to a record whose key is already in Opus: it is overwritten, or skipped.",
    )
    records: list[Entry] = Field(min_length=1, description="The records, each with a key of its own.")

    def check(self, *, most: int, atomic: bool = False) -> None:
        """See to what the shape cannot say.

        Args:
            atomic: One bad record stands in the way of all; without it, only a call without any good one is refused.

        Raises:
            TooLarge: There are more than ``most`` records.
            InvalidInput: Row keys repeat, or there are bad records.
        """
        require_at_most(most, len(self.records), target="records", setting="OPUS_SUBMIT_MAX_RECORDS")
        bad = self._bad()
        if bad and (atomic or len(bad) == len(self.records)):
            refuse([detail for index, record in bad.items() for detail in record.details(index)])
        require_unique([record.row_key for record in self.records], place="records[{}].rowKey")

    def for_opus(self, dates: Dates) -> tuple[dict[str, object], ...]:
        """Return the records as Opus wants them, and bad ones as they are."""
        return tuple(one.fields if isinstance(one, BadRecord) else one.for_opus(dates) for one in self.records)

    def asked(self) -> dict[str, object]:
        """Return the body as the caller wrote it, apart from how times are spelt."""
        good = iter(self.model_copy(update={"records": self._good()}).model_dump(mode="json", by_alias=True)["records"])
        records = [one.value if isinstance(one, BadRecord) else next(good) for one in self.records]
        return {"conflictOption": self.conflict_option, "records": records}

    def refused(self) -> tuple[FailedItem, ...]:
        """Return what becomes of the bad records."""
        return tuple(record.failed(index) for index, record in self._bad().items())

    def _good(self) -> list[RecordInput]:
        return [record for record in self.records if isinstance(record, RecordInput)]

    def _bad(self) -> dict[int, BadRecord]:
        return {index: record for index, record in enumerate(self.records) if isinstance(record, BadRecord)}


class DestroyInput(BaseModel):
    """The body of a destroy; connection and date let an uncertain outcome be looked up."""

    model_config = ConfigDict(extra="forbid")

    ids: list[Text] = Field(
        min_length=1,
        description="The keys of the records to mark as destroyed.",
        json_schema_extra={"uniqueItems": True},
    )
    connection: UUID | None = Field(
        None,
        alias="opusConnectionId",
        description="The connection of the records; with a date, a lost answer can be looked up.",
    )
    before: Time | None = Field(
        None,
        description="The time with which the due records were listed, in RFC 3339; see the connection.",
    )

    def check(self, *, most: int) -> None:
        """See to what the shape cannot say.

        Raises:
            TooLarge: There are more than ``most`` ids.
            InvalidInput: Ids repeat.
        """
        require_at_most(most, len(self.ids), target="ids", setting="OPUS_DESTROY_MAX_IDS")
        require_unique(self.ids, place="ids[{}]")


class ResolveInput(BaseModel):
    """The body of a resolve: the word of a person who has looked into Opus."""

    model_config = ConfigDict(extra="forbid")

    outcome: Resolved = Field(description="Whether the items were processed (Succeeded) or not (Failed).")
    note: Text = Field(max_length=2000, description="What was looked at, and what was seen.")
    checked_by: Text = Field(alias="checkedBy", max_length=255, description="The name of the person who checked.")
    ids: list[Text] | None = Field(
        None, min_length=1, description="The keys of the items; without it, all that are still uncertain."
    )


def connection_id(text: str) -> str:
    """Return the GUID of a connection, in lower case.

    Raises:
        InvalidInput: It is not one.
    """
    if not _GUID.fullmatch(text):
        raise InvalidInput(
            f"{text!r} is not a GUID",
            target="opusConnectionId",
            remedy="The id of a connection is in the connection file that you can download from Opus.",
        )
    return str(UUID(text))


def due_before(text: str | None, dates: Dates, *, now: datetime) -> datetime:
    """Return the instant until which records are due; ``now`` when the caller names none.

    Raises:
        InvalidInput: It is no RFC 3339 time.
    """
    try:
        return dates.instant(parse_record_time(text)) if text else now
    except ValueError as error:
        remedy = "Write + as %2B in a URL." if _LOST_PLUS.search(text or "") else ""
        raise InvalidInput(f"before: {error}", target="before", remedy=remedy) from None


def idempotency_key(headers: Mapping[str, str]) -> str | None:
    """Return the key under which a call acts once.

    Raises:
        InvalidInput: It is not 1 to 255 characters of printable ASCII, or its two names differ.
    """
    given = {headers[name] for name in ("Idempotency-Key", "Repeatability-Request-ID") if name in headers}
    if len(given) > 1:
        raise InvalidInput("Idempotency-Key and Repeatability-Request-ID differ", target="Idempotency-Key")
    key = next(iter(given), None)
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
        if key and first.setdefault(key, index) != index:
            message = f"{key!r} is already at {place.format(first[key])}"
            repeated.append(Detail(place.format(index), "Duplicate", message))
    if repeated:
        refuse(repeated)


def refuse(details: Sequence[Detail]) -> NoReturn:
    """Say what is wrong, and where.

    Raises:
        InvalidInput: Always.
    """
    first, more = details[0], f" (and {len(details) - 1} more)" if len(details) > 1 else ""
    raise InvalidInput(f"{first.target}: {first.message}{more}", target=first.target, details=details)
