"""Puts together what the functions use of Opus, from the services of the process."""

import asyncio
import random
from zoneinfo import ZoneInfo

from shared.opus.client import Opus, opus_api
from shared.opus.dates import Dates
from shared.opus.links import Links
from shared.opus.operations import Operations
from shared.services import Services
from shared.settings import Settings

LEGACY_FORMAT = "%Y-%m-%d %H:%M:%S"
"""How AvePoint's samples of the legacy API write dates (AvePoint Opus user guide, "API for Connector")."""


def dates_of(settings: Settings) -> Dates:
    """The dates of the tenant."""
    usual = LEGACY_FORMAT if settings.opus_api == "connector" else None
    return Dates(ZoneInfo(settings.opus_time_zone), settings.opus_date_format or usual)


def opus_of(app: Services) -> Opus:
    """The Opus of the tenant."""
    return Opus(opus_api(app.settings), transport=app.transport, dates=dates_of(app.settings))


def operations_of(app: Services) -> Operations:
    """The operations of the app."""
    return Operations(
        app.storage,
        opus_of(app),
        settings=app.settings,
        dates=dates_of(app.settings),
        clock=app.clock,
        sleep=asyncio.sleep,
        random=random.random,
    )


def links_of(app: Services) -> Links:
    """The links of the app."""
    return Links(app.proofs, clock=app.clock)
