from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from sandbox.avepoint.catalog import EndMarker, LinkShape

KeyCase = Literal["documented", "lower", "upper", "camel", "pascal"]
Totals = Literal["number", "text", "page"]

Oddity = Literal["surrogate", "newline", "nan", "huge", "deep", "null", "text"]
"""How an item is odd: by an additional field `odd`, or, with the last two, as a whole."""

Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]

_EVERY = "*"


def _for_every_list(value: object) -> object:
    return value if isinstance(value, Mapping) else {_EVERY: value}


type PerList[T] = Annotated[dict[str, T], BeforeValidator(_for_every_list)]
"""A value by name of the list; one value alone is meant for every list without its own (key `*`)."""


def for_list[T](values: Mapping[str, T], name: str, default: T) -> T:
    """Return the value for a list: its own, the one for every list, or the default."""
    return values.get(name, values.get(_EVERY, default))


class Settings(BaseModel):
    """What the simulated service holds, and a switch for each choice that the documents leave open.

    docs/simulator.md says what each does. Most can be set for one list, by its name, or for all (`parent_field` for one
    only). In JSON names are in camelCase.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, validate_by_name=True)

    items: PerList[Count] = {}
    items_per_parent: Count = 3
    night: Count = 0
    now: AwareDatetime | None = None
    every_minutes: PerList[Positive] = {}
    gone_share: PerList[Share] = {}
    gone_parents: frozenset[str] = frozenset()
    running_minutes: PerList[Count] = {}
    unfinished: PerList[Count] = {}
    odd_items: Annotated[dict[str, tuple[Oddity, ...]], BeforeValidator(_for_every_list)] = {}
    retention_days: Annotated[int, Field(ge=-36_500, le=36_500)] = 0
    latency_ms: Count = 0
    token_seconds: Annotated[float, Field(ge=0)] = 3600

    link_shape: PerList[LinkShape] = {}
    end_marker: PerList[EndMarker] = {}
    link_overlap: PerList[Count] = {}
    token_parameter: PerList[str] = {}
    page_size: PerList[Positive] = {}
    oversize: PerList[Literal["refuse", "clamp"]] = {}
    rows_per_page: PerList[Positive] = {}
    beyond_end: PerList[Literal["empty", "repeat", "missing"]] = {}
    empty_pages: PerList[Count] = {}
    row_shift: PerList[int] = {}
    link_note: PerList[str] = {}

    key_case: PerList[KeyCase] = {}
    item_key_case: PerList[KeyCase] = {}
    key_source: PerList[Literal["sample", "table"]] = {}
    totals: PerList[Totals] = {}

    window_end: PerList[Literal["inclusive", "exclusive"]] = {}
    window_filter: PerList[Literal["start", "within"]] = {}
    window_day: PerList[Literal["start", "end"]] = {}
    window_zone_minutes: Annotated[int, Field(ge=-900, le=900)] = 0
    parent_field: dict[str, str] = {}
    parent_required: PerList[bool] = {}

    def changed(self, changes: Mapping[str, object]) -> "Settings":
        """Return the settings with some values replaced; lists that are not named keep theirs.

        Raises:
            pydantic.ValidationError: a key or value is not known.
        """
        asked = Settings.model_validate(changes)
        values = {name: self._merged(asked, name) for name in asked.model_fields_set}
        return self.model_copy(update=values)

    def named_lists(self) -> set[str]:
        """Return the name of every list that has a value of its own."""
        per_list = [value for value in dict(self).values() if isinstance(value, dict)]
        return {name for values in per_list for name in values} - {_EVERY}

    def _merged(self, asked: "Settings", name: str) -> object:
        old, new = getattr(self, name), getattr(asked, name)
        return {**old, **new} if isinstance(new, dict) else new
