from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from sandbox.avepoint.catalog import LinkShape

EndMarker = Literal["empty", "null", "absent"]
"""What stands in place of a next link on the last page."""

_EVERY = "*"


def _for_every_list(value: object) -> object:
    return value if isinstance(value, Mapping) else {_EVERY: value}


type PerList[T] = Annotated[dict[str, T], BeforeValidator(_for_every_list)]
"""A value by name of the list; one value alone is meant for every list without its own (key `*`)."""


def for_list[T](values: Mapping[str, T], name: str, default: T) -> T:
    """Return the value for a list: its own, the one for every list, or the default."""
    return values.get(name, values.get(_EVERY, default))


class Settings(BaseModel):
    """What the simulated service holds and how it behaves where the documents leave it open.

    Without a value for it a list holds 250 items, writes its links as the catalogue says and marks the end with an
    empty string. `retention_days` lie between a record's `timeCreated` and the date it is due for disposal.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, validate_by_name=True)

    items: PerList[Annotated[int, Field(ge=0)]] = {}
    link_shape: PerList[LinkShape] = {}
    end_marker: PerList[EndMarker] = {}
    latency_ms: Annotated[int, Field(ge=0)] = 0
    token_seconds: Annotated[float, Field(ge=0)] = 3600
    retention_days: Annotated[int, Field(ge=-36_500, le=36_500)] = 0

    def changed(self, changes: Mapping[str, object]) -> "Settings":
        """Return the settings with some values replaced; lists that are not named keep theirs.

        Raises:
            pydantic.ValidationError: a key or value is not known.
        """
        asked = Settings.model_validate(changes)
        values = {name: self._merged(asked, name) for name in asked.model_fields_set}
        return self.model_copy(update=values)

    def named_lists(self) -> set[str]:
        return {name for values in (self.items, self.link_shape, self.end_marker) for name in values} - {_EVERY}

    def _merged(self, asked: "Settings", name: str) -> object:
        old, new = getattr(self, name), getattr(asked, name)
        return {**old, **new} if isinstance(new, dict) else new
