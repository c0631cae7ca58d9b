"""Checks everything the app depends on, and says what to do about what is wrong."""

from collections.abc import Awaitable, Callable, Iterator
from typing import Literal

from shared.avepoint.platform import SOURCES
from shared.document import Document
from shared.errors import AppError, Misconfigured
from shared.harvest.starting import configured
from shared.services import Services
from shared.settings import Settings, load_settings
from shared.storage import Container

type Status = Literal["ok", "warning", "error"]
type Open = Callable[[], Awaitable[Services]]


class Check(Document):
    """What was looked at, how it is, and what to do about it."""

    name: str
    status: Status
    message: str
    remedy: str = ""


async def examine(open_services: Open) -> list[Check]:
    """All checks, in the order in which one depends on another; nothing is written and nothing is raised."""
    try:
        settings = load_settings()
    except Misconfigured as error:
        return list(_problems(error))
    checks = [Check(name="settings", status="ok", message="all app settings are well formed")]
    for source in SOURCES:
        checks += _source_checks(settings, source)
    return [*checks, await _storage_check(open_services)]


def is_well(checks: list[Check]) -> bool:
    """Whether nothing is broken."""
    return all(check.status != "error" for check in checks)


def _problems(error: Misconfigured) -> Iterator[Check]:
    for problem in error.problems:
        yield Check(name=problem.setting, status="error", message=problem.message, remedy=problem.remedy)


def _source_checks(settings: Settings, source: Literal["enpower", "graph", "elements"]) -> list[Check]:
    """Whether the datasets of a source can be harvested."""
    try:
        datasets = configured(settings, source)
        if datasets:
            settings.base_url(source)
    except Misconfigured as error:
        return list(_problems(error))
    return [Check(name=f"datasets/{source}", status="ok", message=f"{len(datasets)} datasets are harvested")]


async def _storage_check(open_services: Open) -> Check:
    try:
        opened = await open_services()
        await opened.storage.read(Container.HARVEST_STATE, "health")
    except AppError as error:
        return Check(name="storage", status="error", message=str(error), remedy=error.remedy)
    return Check(name="storage", status="ok", message="containers and queues are there")
