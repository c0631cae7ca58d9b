"""The JSON documents this app stores and answers with."""

from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from shared.errors import BadAnswer


class Document(BaseModel):
    """An immutable value with camelCase names in JSON and snake_case names in Python.

    Unknown names are ignored, so that an older app reads what a newer one wrote.
    """

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True, extra="ignore")

    def to_json(self) -> bytes:
        """The document as UTF-8 JSON; times are RFC 3339 with ``Z``."""
        return self.model_dump_json(by_alias=True).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """Read what ``to_json`` wrote.

        Raises:
            BadAnswer: The bytes are no such document.
        """
        try:
            return cls.model_validate_json(data)
        except ValidationError as error:
            raise BadAnswer(
                f"a stored {cls.__name__} cannot be read: {error.error_count()} fields are wrong"
            ) from error
