"""The body of ``POST /harvests``."""

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from shared.harvest.plan.windows import Window
from shared.opus.intake.dates import parse_record_time

LONGEST_NAME = 200
MOST_DATASETS = 200


def _time(value: object) -> datetime:
    if not isinstance(value, str):
        raise ValueError("a time is a text in RFC 3339, such as 2026-01-31T00:00:00Z")  # noqa: TRY004 - for pydantic
    return parse_record_time(value).astimezone(UTC).replace(microsecond=0)


_Instant = Annotated[datetime, BeforeValidator(_time)]
_Names = Annotated[
    list[Annotated[str, StringConstraints(max_length=LONGEST_NAME)]],
    Field(
        json_schema_extra={"minItems": 1, "maxItems": MOST_DATASETS}
    ),  # counted by others: before, and with the settings
]


class HarvestWindow(BaseModel):
    """A past stretch of time."""

    model_config = ConfigDict(extra="forbid")

    from_: _Instant = Field(alias="from")
    to: _Instant

    def as_window(self) -> Window:
        """Return it as the harvest knows it."""
        return Window(from_=self.from_, to=self.to)


class StartHarvest(BaseModel):
    """The body of ``POST /harvests``."""

    model_config = ConfigDict(extra="forbid")

    source: Literal["enpower", "graph", "elements"]
    datasets: _Names | None = None
    window: HarvestWindow | None = None
