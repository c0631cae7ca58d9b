"""The alert rules of a deployment, asked as Azure asks them: over what the window of each shows of telemetry."""

import logging
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import override

from tests.infra.kql import Evaluator, Row
from tests.infra.snapshot import Resource, Snapshot, at, items

EVENT = re.compile(r'"([a-z_]+\.[a-z_]+)"')
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message"}
_DURATION = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?)?")


class Telemetry(logging.Handler):
    """What reaches Application Insights: lines with their fields as text, at the time of a clock."""

    def __init__(self, clock: Callable[[], datetime], *, with_fields: bool = True) -> None:
        super().__init__()
        self.rows = list[Row]()
        self._clock = clock
        self._with_fields = with_fields

    @override
    def emit(self, record: logging.LogRecord) -> None:
        if not hasattr(record, "event"):
            return
        fields = {name: str(value) for name, value in vars(record).items() if name not in _OWN and value is not None}
        dimensions = fields if self._with_fields else {}
        self.rows.append({"timestamp": self._clock(), "message": record.getMessage(), "customDimensions": dimensions})

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Hear everything that is logged meanwhile."""
        root = logging.getLogger()
        level = root.level
        root.addHandler(self)
        root.setLevel(logging.INFO)
        try:
            yield
        finally:
            root.removeHandler(self)
            root.setLevel(level)


@dataclass(frozen=True)
class AlertRule:
    """A rule: its query, how often it is asked, over how much telemetry, and which columns split it into series."""

    name: str
    query: str
    every: timedelta
    window: timedelta
    threshold: int
    dimensions: Sequence[str]

    @classmethod
    def of(cls, resource: Resource) -> "AlertRule":
        """Return the rule that is deployed as a resource."""
        condition = items(resource.at("criteria.allOf"))[0]
        return cls(
            resource.name,
            str(at(condition, "query")),
            _duration(str(resource.at("evaluationFrequency"))),
            _duration(str(resource.at("windowSize"))),
            int(str(at(condition, "threshold"))),
            [str(at(one, "name")) for one in items(at(condition, "dimensions"))],
        )

    @cached_property
    def events(self) -> frozenset[str]:
        """The names of the events that it asks for; none where it asks for requests."""
        return frozenset(EVENT.findall(self.query))

    def series(self, now: datetime, *, traces: Sequence[Row], requests: Sequence[Row] = ()) -> list[str]:
        """Return the series that fire at a time."""
        tables = {"traces": self._seen(now, traces), "requests": self._seen(now, requests)}
        found = Evaluator(now, tables).run(self.query)
        if len(found) <= self.threshold:
            return []
        return sorted({" ".join(str(row[name]) for name in self.dimensions) for row in found})

    def _seen(self, now: datetime, rows: Sequence[Row]) -> list[Row]:
        return [row for row in rows if now - self.window <= row["timestamp"] <= now]


def alert_rules(deployment: Snapshot) -> dict[str, AlertRule]:
    """Return the rules that ask for telemetry, by the names of their resources."""
    found = map(AlertRule.of, deployment.of_type("Microsoft.Insights/scheduledQueryRules"))
    return {rule.name: rule for rule in found}


def _duration(text: str) -> timedelta:
    found = _DURATION.fullmatch(text)
    assert found is not None, text
    days, hours, minutes = (int(number or 0) for number in found.groups())
    return timedelta(days=days, hours=hours, minutes=minutes)
