from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from math import inf
from time import time
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue
from pydantic.alias_generators import to_camel

Count = Annotated[int, Field(ge=0)]


_STRICT = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True)


class Failure(BaseModel):
    """A failure told inside a 200: `status` and `message`, and what stands in place of the `list`."""

    model_config = _STRICT

    status: JsonValue = 500
    message: str = "An internal error occurred."
    list: Literal["null", "empty", "absent", "kept"] = "null"


class Rule(BaseModel):
    """One fault: which requests it strikes, how often, and what happens to them; docs/simulator.md has them all."""

    model_config = _STRICT

    method: str | None = None
    path: str = "*"
    times: Count | None = 1
    skip: Count = 0
    seconds: Annotated[float, Field(gt=0)] | None = None
    status: Annotated[int, Field(ge=200, le=599)] | None = None
    body: JsonValue = None
    headers: dict[str, str] = {}
    execute: bool = False
    cut: Count | None = None
    latency_ms: Count = 0
    truncate_gzip: bool = False
    tail: str = ""
    failure: Failure | None = None
    other_order: bool = False
    next_link: str | None = None
    items: Count | None = None
    total: int | None = None
    fail_row_keys: str | None = None

    @property
    def replaces_answer(self) -> bool:
        return self.status is not None or "body" in self.model_fields_set

    @property
    def replaces_next_link(self) -> bool:
        return "next_link" in self.model_fields_set

    @property
    def prevents_execution(self) -> bool:
        return not self.execute and (self.replaces_answer or self.cut == 0)

    @property
    def strikes_all(self) -> bool:
        """Whether it strikes every request: for good, or as long as it lasts."""
        return self.times is None or (self.seconds is not None and "times" not in self.model_fields_set)

    def strikes(self, method: str, path: str) -> bool:
        return self.method in (None, method) and fnmatchcase(path, self.path)


NO_FAULT = Rule()


@dataclass(slots=True)
class _Armed:
    rule: Rule
    to_skip: int
    remaining: int | None
    ends: float


class Faults:
    """The rules that are set, in the order in which they were set; the first that strikes is used.

    `clock` gives epoch seconds.
    """

    def __init__(self, clock: Callable[[], float] = time) -> None:
        self._clock = clock
        self._armed: list[_Armed] = []

    def add(self, rules: list[Rule]) -> None:
        """Arm the rules: from now on they count and their time runs."""
        now = self._clock()
        self._armed += [
            _Armed(rule, rule.skip, None if rule.strikes_all else rule.times, now + (rule.seconds or inf))
            for rule in rules
        ]

    def clear(self) -> None:
        self._armed.clear()

    def take(self, method: str, path: str) -> Rule:
        """Return the fault for this request and count it; `NO_FAULT` if there is none."""
        now = self._clock()
        for armed in self._armed:
            if armed.remaining == 0 or now >= armed.ends or not armed.rule.strikes(method, path):
                continue
            if armed.to_skip:
                armed.to_skip -= 1
                continue
            if armed.remaining is not None:
                armed.remaining -= 1
            return armed.rule
        return NO_FAULT

    def listed(self) -> list[dict[str, object]]:
        """Return each rule as it was set, with what is left of it as `remaining` and `toSkip`."""
        return [
            armed.rule.model_dump(by_alias=True, exclude_unset=True)
            | {"remaining": armed.remaining, "toSkip": armed.to_skip}
            for armed in self._armed
        ]
