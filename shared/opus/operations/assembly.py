"""Puts together what the functions use of Opus, from the services of the process."""

import asyncio
import random
import re
from datetime import timedelta
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from shared.opus.client.client import Opus, opus_api
from shared.opus.client.links import Links
from shared.opus.intake.dates import Dates
from shared.opus.ledger.documents import Place
from shared.opus.ledger.store import OperationStore
from shared.opus.operations.operations import Operations
from shared.opus.operations.rules import OperationLimits
from shared.opus.operations.tools import Tools
from shared.services import Services
from shared.settings import Settings

LEGACY_FORMAT = "%Y-%m-%d %H:%M:%S"
"""How AvePoint's samples of the legacy API write dates (AvePoint Opus user guide, "API for Connector")."""

_ACCOUNT = re.compile(r"(?:^|;)\s*AccountName=([^;]+)", re.IGNORECASE)
_EMULATOR = "devstoreaccount1"
"""The account that every emulator of Azure Storage has."""


def dates_of(settings: Settings) -> Dates:
    """Return the dates of the tenant."""
    usual = LEGACY_FORMAT if settings.opus_api == "connector" else None
    return Dates(ZoneInfo(settings.opus_time_zone), settings.opus_date_format or usual)


def opus_of(app: Services) -> Opus:
    """Return the Opus of the tenant."""
    return Opus(opus_api(app.settings), transport=app.transport, dates=dates_of(app.settings))


def operations_of(app: Services) -> Operations:
    """Return the operations of the app."""
    return Operations(tools_of(app, opus_of(app)), settings=app.settings, dates=dates_of(app.settings))


def tools_of(app: Services, opus: Opus) -> Tools:
    """Return what the workers of operations work with.

    They live by the clock of the storage account, which all instances share: what a lost call may still do has to be
    over before anybody looks, however wrong the clock of a machine is.
    """
    settings = app.settings
    return Tools(
        store=OperationStore(app.storage),
        opus=opus,
        place=place_of(settings, opus),
        destroy_enabled=lambda: settings.opus_destroy_enabled,
        clock=lambda: app.clock() + app.storage.skew,
        sleep=asyncio.sleep,
        random=random.random,
        limits=OperationLimits(
            timedelta(hours=settings.opus_submit_hours), timedelta(seconds=settings.opus_settle_seconds)
        ),
        submits_at_once=settings.throttle_concurrency,
        lookup_pages=settings.opus_lookup_pages,
    )


def place_of(settings: Settings, opus: Opus) -> Place:
    """Return where this app is: nothing that was asked elsewhere is carried on here."""
    client_id = settings.credential("opus").client_id
    return Place(origin=opus.origin, client_id=client_id, generation=opus.generation, account=account_of(settings))


def account_of(settings: Settings) -> str:
    """Return the name of the storage account that keeps the documents of operations."""
    if settings.storage_connection_string is not None:
        named = _ACCOUNT.search(settings.storage_connection_string.get_secret_value())
        return named[1] if named else _EMULATOR
    parts = urlsplit(settings.storage_blob_url or "")
    host = parts.hostname or ""
    on_path = parts.path.strip("/")  # an emulator has the account in the path
    return on_path or host.partition(".")[0]


def links_of(app: Services) -> Links:
    """Return the links of the app."""
    return Links(app.storage, app.credentials, clock=app.clock)
