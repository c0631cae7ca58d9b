"""What a check finds, and how long it may take to find it."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Self

from shared.azure.misfits import Misfit
from shared.document import Document
from shared.errors import AppError, Misconfigured, Wait
from shared.telemetry.redaction import redacted
from shared.version import VERSION

PATIENCE_SECONDS = 20.0
"""How long one check may take: longer than a read of the vault with all its retries."""

_COMES_BY_ITSELF = "You do not have to do anything: the work continues by itself at that time."

type CheckStatus = Literal["ok", "warning", "error"]


class Check(Document):
    """What was looked at, how it is, and what to do about it."""

    name: str
    status: CheckStatus
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
        """Return the report that ``checks`` make."""
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
    unanswered: CheckStatus = "error"


async def answered(probe: Probe) -> Sequence[Check]:
    """Return what ``probe`` finds, in bounded time; nothing is raised."""
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


def failed(name: str, error: AppError, *, remedy: str = "", status: CheckStatus = "error") -> Check:
    """Return the check that ``error`` fails; ``remedy`` is for errors that name none."""
    if isinstance(error, Wait):
        return Check(name=name, status="warning", message=str(error), remedy=error.remedy or _COMES_BY_ITSELF)
    return Check(name=name, status=status, message=str(error), remedy=error.remedy or remedy)


def setting_checks(error: Misconfigured) -> Iterator[Check]:
    """One check for each app setting that is missing or wrong, under its name."""
    for problem in error.problems:
        yield Check(name=problem.setting, status="error", message=problem.message, remedy=problem.remedy)


def misfit_checks(name: str, found: Iterable[Misfit]) -> list[Check]:
    """Return one check for each document that does not fit what else is stored, under its path."""
    return [
        Check(name=f"{name}/{one.path}", status="error", message=str(one.fault), remedy=one.fault.remedy)
        for one in sorted(found, key=lambda one: one.path)
    ]
