"""What a check finds, and how long it may take to find it."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Self

from shared.document import Document
from shared.errors import AppError, Misconfigured, Wait
from shared.redaction import redacted
from shared.version import VERSION

PATIENCE_SECONDS = 20.0
"""How long one check may take: longer than a read of the vault with all its retries."""

_COMES_BY_ITSELF = "Nothing has to be done: what has to wait goes on by itself at that time."

type Status = Literal["ok", "warning", "error"]


class Check(Document):
    """What was looked at, how it is, and what to do about it."""

    name: str
    status: Status
    message: str
    remedy: str = ""

    @classmethod
    def passed(cls, name: str, message: str) -> Self:
        """Nothing has to be done."""
        return cls(name=name, status="ok", message=message)


class Report(Document):
    """All checks, and what they say together: nothing is broken, or something is."""

    status: Literal["ok", "unhealthy"]
    version: str
    checks: tuple[Check, ...]

    @classmethod
    def of(cls, checks: Sequence[Check]) -> Self:
        """The report that ``checks`` make."""
        broken = any(check.status == "error" for check in checks)
        return cls(status="unhealthy" if broken else "ok", version=VERSION, checks=tuple(checks))


@dataclass(frozen=True, slots=True)
class Probe:
    """A question to something the app depends on.

    Attributes:
        name: Of the check, when there is no answer.
        ask: Asks; may raise any ``AppError``.
        remedy: What to do when there is no answer, or an error that names no remedy.
        unanswered: How bad that is.
    """

    name: str
    ask: Callable[[], Awaitable[Sequence[Check]]]
    remedy: str
    unanswered: Status = "error"


async def answered(probe: Probe) -> Sequence[Check]:
    """What ``probe`` finds, in bounded time; nothing is raised."""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await probe.ask()
    except TimeoutError:
        message = f"there was no answer within {PATIENCE_SECONDS:g} s"
        return [Check(name=probe.name, status=probe.unanswered, message=message, remedy=probe.remedy)]
    except AppError as error:
        return [failed(probe.name, error, remedy=probe.remedy, status=probe.unanswered)]
    except Exception as error:  # noqa: BLE001 - what nobody foresaw is reported too, beside everything else
        return [Check(name=probe.name, status="error", message=redacted(repr(error)), remedy=probe.remedy)]


def failed(name: str, error: AppError, *, remedy: str = "", status: Status = "error") -> Check:
    """The check that ``error`` fails; ``remedy`` is for errors that name none."""
    if isinstance(error, Wait):
        return Check(name=name, status="warning", message=str(error), remedy=error.remedy or _COMES_BY_ITSELF)
    return Check(name=name, status=status, message=str(error), remedy=error.remedy or remedy)


def problems(error: Misconfigured) -> Iterator[Check]:
    """One check for each app setting that is missing or wrong, under its name."""
    for problem in error.problems:
        yield Check(name=problem.setting, status="error", message=problem.message, remedy=problem.remedy)
