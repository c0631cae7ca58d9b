"""Whether AvePoint answers: harmless questions, which nothing is changed by."""

import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial

from shared.avepoint.catalog import Dataset
from shared.avepoint.opus_answers import DUE
from shared.avepoint.page import read_page
from shared.avepoint.paging import first_request
from shared.avepoint.platform import OPUS_SCOPE, SOURCES, Source
from shared.avepoint.request import Response
from shared.credentials.assertions import SKEW
from shared.credentials.tokens import Key
from shared.doctor.cached import IDENTITY_AWAY, token_check, token_name, uses_opus
from shared.doctor.check import Check, CheckStatus, Probe
from shared.errors import AppError, Misconfigured, UpstreamFailed
from shared.harvest.plan.choosing import configured
from shared.http.client import REQUEST_ID
from shared.opus.client.client import opus_api
from shared.opus.operations.assembly import dates_of
from shared.services import Services
from shared.settings import Settings
from shared.telemetry.redaction import redacted_url

CLOCK_WARNING = timedelta(minutes=1)

NOBODY = "00000000-0000-0000-0000-000000000000"
"""A connection that does not exist."""

_AVEPOINT_AWAY = "Wait and check again. If the problem lasts, ask AvePoint support, and give the request id."
_SET_CLOCK = "Set the clock of this machine."
_LIST_DUE = "List due records of a connection you have (GET /api/opus/connections/{id}/records/due)."
_NOT_FOUND = frozenset({400, 404})


def avepoint_probes(services: Services) -> Iterator[Probe]:
    """Yield the identity service and our clock, tokens, one page of each source, and Opus."""
    settings = services.settings
    yield Probe("identity", partial(_identity, services), IDENTITY_AWAY)
    opus_fails: CheckStatus = "error" if uses_opus(settings) else "warning"
    for key in wanted_tokens(settings):
        unanswered = opus_fails if key[0] == "opus" else "error"
        yield Probe(token_name(key), partial(_token, services, key), IDENTITY_AWAY, unanswered)
    for source in SOURCES:
        if dataset := _sample(settings, source):
            yield Probe(f"page/{source}", partial(_page, services, dataset), _AVEPOINT_AWAY)
    yield Probe("opus", partial(_opus, services), _AVEPOINT_AWAY, opus_fails)


def wanted_tokens(settings: Settings) -> list[Key]:
    """Return the tokens that the configured datasets and the Opus functions need."""
    keys: list[Key] = [("opus", OPUS_SCOPE)]
    for source in SOURCES:
        with suppress(Misconfigured):  # a check of its own says so
            keys += [(dataset.registration, dataset.scope) for dataset in configured(settings, source)]
    return list(dict.fromkeys(keys))


async def _identity(services: Services) -> Sequence[Check]:
    """Whether the identity service answers, whatever it answers, and how far our clock is from its."""
    url = f"{services.settings.identity_url}/.well-known/openid-configuration"
    asked_at = services.clock()
    answer = await services.http.send("GET", url, {REQUEST_ID: str(uuid.uuid4())}, None)
    now = asked_at + (services.clock() - asked_at) / 2
    message = f"{redacted_url(services.settings.identity_url)} answers {answer.status}"
    if answer.status < 500:  # noqa: PLR2004 - server error
        return [Check.passed("identity", message), clock_check(answer, now)]
    return [Check(name="identity", status="error", message=message, remedy=IDENTITY_AWAY), clock_check(answer, now)]


def clock_check(answer: Response, now: datetime) -> Check:
    """How far ``now`` is from the ``Date`` of an answer: an assertion from the future or the past is refused."""
    try:
        theirs = parsedate_to_datetime(answer.headers.get("date", ""))
    except ValueError:
        message = "the answer of the identity service has no date to compare with"
        return Check(name="clock", status="warning", message=message, remedy=_SET_CLOCK)
    skew = now - (theirs if theirs.tzinfo else theirs.replace(tzinfo=UTC))
    seconds = round(skew.total_seconds())
    message = f"{abs(seconds)} s {'ahead of' if seconds > 0 else 'behind'} the identity service"
    if abs(skew) <= CLOCK_WARNING:
        return Check.passed("clock", message)
    status: CheckStatus = "error" if abs(skew) > SKEW else "warning"
    return Check(name="clock", status=status, message=message, remedy=_SET_CLOCK)


async def _token(services: Services, key: Key) -> Sequence[Check]:
    """Whether there is a token, or why not."""
    with suppress(AppError):  # the cache remembers it
        await services.tokens.get(*key)
    return [token_check(services, key)]


def _sample(settings: Settings, source: Source) -> Dataset | None:
    """Return the dataset of ``source`` to try: the cheapest page, under the permission that most of them need."""
    try:
        datasets = configured(settings, source)
        settings.base_url(source)
    except Misconfigured:  # a check of its own says so
        return None
    lists = [one for one in datasets if one.parent is None and not one.choices]
    needed = Counter(one.scope for one in lists)
    return min(lists, key=lambda one: (one.window is not None, one.size is None, -needed[one.scope]), default=None)


async def _page(services: Services, dataset: Dataset) -> Sequence[Check]:
    """Whether a page comes, and can be read."""
    now = services.clock()
    tenant = next(iter(services.settings.tenants), None)
    request = first_request(
        dataset,
        services.settings.base_url(dataset.source),
        page_size=1,
        tenant=tenant,
        between=(now - timedelta(days=1), now),
    )
    reply = await services.transport.send(request, caller="http")
    items = len(read_page(dataset, reply.response.body).items)
    message = f"{dataset.name} gives a page; items on it: {items}"
    return [Check.passed(f"page/{dataset.source}", message)]


async def _opus(services: Services) -> Sequence[Check]:
    """Whether Opus answers a question about due records: of a connection that does not exist, for we know no other."""
    request = opus_api(services.settings).due(NOBODY, dates_of(services.settings).written(services.clock()), size=1)
    try:
        reply = await services.transport.send(request, accept=DUE | _NOT_FOUND, repeatable=False, caller="http")
    except UpstreamFailed as error:
        if error.status != 500:  # noqa: PLR2004 - the only failure that Opus documents: it may mean our question
            raise
        message = f"it answers and takes the token, but {error}; nothing more was proven"
        return [Check(name="opus", status="warning", message=message, remedy=_LIST_DUE)]
    message = (
        f"it answers {reply.response.status} for a connection that does not exist, and accepts the token; "
        "this does not prove that it knows your connections, or that the app may write"
    )
    return [Check.passed("opus", message)]
