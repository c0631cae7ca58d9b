from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, JsonValue
from pydantic.alias_generators import to_camel

Count = Annotated[int, Field(ge=0)]


class Rule(BaseModel):
    """One fault: which requests it strikes, how often, and what happens to them.

    - `method`, `path` (a glob, `*` also crosses slashes): all requests when absent.
    - `skip` lets that many matching requests pass first; `times` strikes that many, `null` all of them.
    - `status` with `body` and `headers` replaces the answer; without `body` it is the service's own error body. A
      string as `body` is sent as it stands. `headers` alone are added to the true answer.
    - `cut` sends that many bytes of the body and closes the connection; 0 closes it before any answer.
    - `execute` carries the request out although `status`, `body` or `cut: 0` keeps the answer from the caller.
    - `latencyMs` comes on top of the general latency.
    - `truncateGzip` sends the first half of a gzip body in an otherwise proper answer.
    - `nextLink` (also `null`), `items` and `total` change what a list says or holds.
    - `failRowKeys` (a glob) makes Opus fail these records.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel)

    method: str | None = None
    path: str = "*"
    times: Count | None = 1
    skip: Count = 0
    status: Annotated[int, Field(ge=200, le=599)] | None = None
    body: JsonValue = None
    headers: dict[str, str] = {}
    execute: bool = False
    cut: Count | None = None
    latency_ms: Count = 0
    truncate_gzip: bool = False
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

    def strikes(self, method: str, path: str) -> bool:
        return self.method in (None, method) and fnmatchcase(path, self.path)


NO_FAULT = Rule()


@dataclass(slots=True)
class _Armed:
    rule: Rule
    to_skip: int
    remaining: int | None


class Faults:
    """The rules that are set, in the order in which they were set; the first that strikes is used."""

    def __init__(self) -> None:
        self._armed: list[_Armed] = []

    def add(self, rules: list[Rule]) -> None:
        self._armed += [_Armed(rule, rule.skip, rule.times) for rule in rules]

    def clear(self) -> None:
        self._armed.clear()

    def take(self, method: str, path: str) -> Rule:
        """Return the fault for this request and count it; `NO_FAULT` if there is none."""
        for armed in self._armed:
            if armed.remaining == 0 or not armed.rule.strikes(method, path):
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
