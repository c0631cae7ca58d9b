"""The JSON documents this app stores and answers with."""

from datetime import datetime
from typing import ClassVar, Self, override

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from shared.errors import DamagedDocument, NewerDocument

_LAST_YEAR = 9998
"""After this year, adding a duration may leave the calendar."""


def storable(text: str) -> bool:
    """Return whether ``text`` can be written as UTF-8: lone surrogates, which JSON can name, cannot."""
    return text.isascii() or not any("\ud800" <= sign <= "\udfff" for sign in text)


class Document(BaseModel):
    """An immutable value with camelCase names in JSON and snake_case names in Python.

    Unknown names are ignored, so that an older app reads what a newer one wrote.
    """

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True, extra="ignore")

    def to_json(self) -> bytes:
        """Return the document as UTF-8 JSON; times are RFC 3339 with ``Z``."""
        return self.model_dump_json(by_alias=True).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """Read what ``to_json`` wrote.

        Raises:
            DamagedDocument: The bytes are not such a document.
        """
        try:
            return cls.model_validate_json(data)
        except ValidationError as error:
            raise DamagedDocument(_fault(cls.__name__, error)) from error


class StoredValue(Document):
    """A part of a stored document. Names that this version does not know survive ``model_copy`` and ``to_json``."""

    model_config = ConfigDict(extra="allow")

    @model_validator(mode="after")
    def _has_usable_times(self) -> Self:
        for value in self.__dict__.values():
            if isinstance(value, datetime) and (value.tzinfo is None or value.year > _LAST_YEAR):
                raise ValueError("a time has no zone, or is beyond the calendar")
        return self


class StoredDocument(StoredValue):
    """A document in storage, or a message in a queue, that several versions of the app read and write.

    Documents written before there was a ``schema`` count as schema 1. Raise ``NEWEST`` in a subclass when an older
    version must not touch a document any more; a new name alone is no reason, because unknown names survive.
    """

    NEWEST: ClassVar[int] = 1
    """The highest ``schema`` this version understands."""

    schema_version: int = Field(1, alias="schema", ge=1)

    @override
    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """Read what ``to_json`` wrote, in this version or an earlier one.

        Raises:
            DamagedDocument: The bytes are not such a document.
            NewerDocument: A newer version of the app wrote it: leave it alone.
        """
        try:
            document = super().from_json(data)
        except DamagedDocument:
            _refuse_newer(cls.__name__, _schema_of(data), cls.NEWEST)
            raise
        _refuse_newer(cls.__name__, document.schema_version, cls.NEWEST)
        return document


class _Schema(BaseModel):
    """The one field that every version can read."""

    number: int = Field(1, alias="schema")


def _schema_of(data: bytes) -> int:
    try:
        return _Schema.model_validate_json(data).number
    except ValidationError:
        return 1


def _refuse_newer(name: str, schema: int, newest: int) -> None:
    if schema > newest:
        raise NewerDocument(
            f"a stored {name} has schema {schema}, and this version of the app reads up to {newest}",
            remedy="Deploy the version of the app that wrote it, or a newer one.",
        )


def _fault(name: str, error: ValidationError) -> str:
    """Say which fields are wrong; their values may hold anything, and are not repeated."""
    fields = [".".join(str(step) for step in fault["loc"])[:80] or "the whole" for fault in error.errors()[:3]]
    return f"a stored {name} cannot be read: {error.error_count()} faults, in {', '.join(fields)}"
