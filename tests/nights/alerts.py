"""Which alerts the app raises, and which it should: each rule is asked as often as Azure asks it."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from tests.faults.promises import require
from tests.infra.alerting import AlertRule, Telemetry, alert_rules
from tests.infra.conftest import NAME
from tests.infra.kql import Row
from tests.infra.paths import SNAPSHOTS
from tests.infra.snapshot import Snapshot

KEPT = timedelta(days=2)
"""The longest window of a rule."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

type Alert = tuple[str, str]
"""The name of a rule, and the series that fires."""


@dataclass
class Alerts:
    """What the rules of a deployment say of the telemetry of an app."""

    clock: Callable[[], datetime]
    requests: list[Row] = field(default_factory=list)
    raised: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    """The days on which a rule has fired, by its name."""
    _expected: dict[int, set[Alert]] = field(default_factory=lambda: defaultdict(set))

    def __post_init__(self) -> None:
        self.telemetry = Telemetry(self.clock)
        found = alert_rules(Snapshot.read(SNAPSHOTS / "public.json"))
        self.rules = {name.removeprefix(f"alert-{NAME}-"): rule for name, rule in found.items()}
        self._silent = {name for name, rule in self.rules.items() if not rule.series(_EPOCH, traces=())}

    def expect(self, rule: str, series: str = "", *, on: int) -> None:
        """Expect an alert on a day, in any hour of it."""
        require(rule in self.rules, f"there is no rule {rule}")
        self._expected[on].add((rule, series))

    def check(self, day: int, since: datetime, until: datetime) -> None:
        """Hold what fires in the hours of a day against what should."""
        fired = set(self._fired(since, until))
        for rule, _ in fired:
            self.raised[rule].add(day)
        expected = self._expected.pop(day, set())
        missing, surplus = sorted(expected - fired), sorted(fired - expected)
        require(not missing and not surplus, f"alerts on day {day}: {missing} are missing, and {surplus} fire")
        for rows in (self.telemetry.rows, self.requests):
            rows[:] = [row for row in rows if row["timestamp"] >= until - KEPT]

    def _fired(self, since: datetime, until: datetime) -> Iterator[Alert]:
        for name, rule in self.rules.items():
            traces = [row for row in self.telemetry.rows if row["customDimensions"]["event"] in rule.events]
            requests = [] if rule.events else self.requests
            at = since - (since - _EPOCH) % rule.every + rule.every
            while at <= until:
                if name not in self._silent or self._shows(rule, at, [*traces, *requests]):
                    yield from ((name, one) for one in rule.series(at, traces=traces, requests=requests))
                at += rule.every

    def _shows(self, rule: AlertRule, at: datetime, rows: list[Row]) -> bool:
        return any(at - rule.window <= row["timestamp"] <= at for row in rows)
