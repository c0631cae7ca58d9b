from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from sandbox.avepoint.catalog import EndMarker, LinkShape

KeyCase = Literal["documented", "lower", "upper", "camel", "pascal"]
Totals = Literal["number", "text", "page"]

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

    Most can be set for one list, by its name, or for all (`parent_field` for one only). In JSON names are in camelCase.

    What it holds:

    - `items`: how many items a list holds (250); a child list, of each parent, `items_per_parent` (3) unless it is
      named itself. A call that answers one object holds one.
    - `now`: the time of the newest item of a list with a time filter; the clock of the simulator when null.
    - `every_minutes`: how far apart the items of such a list lie (60).
    - `gone_share`, `gone_parents`: the share of the parents, chosen by their ids, and parents by id whose child lists
      answer 404 although the parent's list still names them.
    - `retention_days`: between a record's `timeCreated` and the date it is due for disposal in Opus (0).
    - `latency_ms`, `token_seconds`: the delay of every answer (0) and the life of a token (3600).

    How it pages:

    - `link_shape`: how next links are written (as the catalogue says for the list; `none`: not at all, so that pages
      have to be counted). Lists that take their token in the body know `token`, `json` and `none` only.
    - `end_marker`: what stands in place of the link on the last page (as in the sample of the list).
    - `link_overlap`: how many rows a link leads back, as the sample of `aos-jobs` does (0).
    - `token_parameter`: the parameter that takes an opaque token (`Page` for EnPower, `skiptoken` for Google).
    - `page_size`: rows of a page when the caller asks for no size (the documented default, else 100).
    - `oversize`: whether more than the documented maximum is a 400 (`refuse`) or gets the maximum (`clamp`).

    How it writes:

    - `key_case`: the case of the envelope's keys (`documented`).
    - `key_source`: whose envelope keys are true where `sample` and `table` of the documents disagree (`sample`).
    - `totals`: whether a total is a `number`, the same as `text`, or the number of items on the `page`.

    How it filters:

    - `window_end`: whether an item at the very end of a window belongs to it (`inclusive`) or not (`exclusive`).
    - `window_day`: whether a day alone as the end of a window means its first (`start`) or last (`end`) instant.
    - `window_zone_minutes`: how far times without a zone are ahead of UTC in filters (0).
    - `parent_field`: the field of the parent's items that its child list goes by (as the catalogue says), where a
      parent has several ids.
    - `parent_required`: whether a parent asked for in query or body must be given (true); without it the child lists
      of all parents follow each other.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, validate_by_name=True)

    items: PerList[Count] = {}
    items_per_parent: Count = 3
    now: AwareDatetime | None = None
    every_minutes: PerList[Positive] = {}
    gone_share: PerList[Share] = {}
    gone_parents: frozenset[str] = frozenset()
    retention_days: Annotated[int, Field(ge=-36_500, le=36_500)] = 0
    latency_ms: Count = 0
    token_seconds: Annotated[float, Field(ge=0)] = 3600

    link_shape: PerList[LinkShape] = {}
    end_marker: PerList[EndMarker] = {}
    link_overlap: PerList[Count] = {}
    token_parameter: PerList[str] = {}
    page_size: PerList[Positive] = {}
    oversize: PerList[Literal["refuse", "clamp"]] = {}

    key_case: PerList[KeyCase] = {}
    key_source: PerList[Literal["sample", "table"]] = {}
    totals: PerList[Totals] = {}

    window_end: PerList[Literal["inclusive", "exclusive"]] = {}
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
