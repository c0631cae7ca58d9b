"""What the sweep has found while it verified what is stored."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from functools import partial

from shared.clock import rfc3339
from shared.doctor.check import Check, Probe
from shared.doctor.storage import STORAGE_AWAY
from shared.doctor.verifying.anchors import reach_of_anchors
from shared.doctor.verifying.documents import Verification, read_verification
from shared.services import Services

_OVER = "Keep less data (RETENTION_DAYS), or give the verification more days (VERIFY_DAYS)."
_BY_HAND = "Run ./avepoint tables from time to time: it has no time limit."
_NOT_ANCHORED = "Look for the reason in the log: sweep.failed. The app must be able to write into the container tables."
_ANCHORED_WITHIN = timedelta(days=1)
_NOT_SWEPT = "Look for the reason in the log: sweep.failed, or why the function sweep does not run."
_SWEPT_WITHIN = timedelta(days=1)
_LOOK = "See 'What the sweep verifies' in docs/operations.md."


def verification_probes(services: Services) -> Iterator[Probe]:
    """Ask how far the sweep is with verifying what is stored, and what it found."""
    yield Probe("verify", partial(_verified, services), STORAGE_AWAY)
    yield Probe("anchors", partial(_anchored, services), STORAGE_AWAY)


async def _verified(services: Services) -> Sequence[Check]:
    days = services.settings.verify_days
    if not days:
        return [Check.passed("verify", "switched off: VERIFY_DAYS is 0")]
    stored = await read_verification(services.storage)
    if stored is None:
        return [Check.passed("verify", "nothing was verified yet: the first sweep begins")]
    return [_how_far(stored.value, services), *_findings(stored.value)]


async def _anchored(services: Services) -> Sequence[Check]:
    """Say how far back the hashes of evidence reach that are kept outside of its account."""
    reach = await reach_of_anchors(services.storage, services.tables)
    if reach.evidence is None:
        return [Check.passed("anchors", "there is no evidence yet")]
    settled = (services.clock() - _ANCHORED_WITHIN).date().isoformat()
    if reach.first is None:
        old = settled > reach.evidence
        message = f"no hash of the evidence is kept outside of its account, and the evidence begins on {reach.evidence}"
        return (
            [Check(name="anchors", status="warning", message=message, remedy=_NOT_ANCHORED)]
            if old
            else [Check.passed("anchors", "the first hashes of evidence are kept within the hour")]
        )
    message = f"hashes of the evidence are kept since {reach.first}, the newest of {reach.last}"
    if reach.last and reach.newest and reach.last < reach.newest < settled:
        message = f"{message}; the newest evidence began on {reach.newest}"
        return [Check(name="anchors", status="warning", message=message, remedy=_NOT_ANCHORED)]
    return [Check.passed("anchors", f"{message}; the evidence begins on {reach.evidence}")]


def _how_far(state: Verification, services: Services) -> Check:
    begun, days = rfc3339(state.started_at), services.settings.verify_days
    if state.is_late(days, services.clock()):
        message = f"under way since {begun}, and not done within {days:g} days"
        return Check(name="verify", status="warning", message=message, remedy=_OVER)
    looked_at = state.looked_at or state.started_at
    if services.clock() - looked_at > _SWEPT_WITHIN:
        message = f"nothing was verified since {rfc3339(looked_at)}"
        return Check(name="verify", status="warning", message=message, remedy=_NOT_SWEPT)
    if state.left_out:
        message = f"tables too large to be verified by a sweep: {', '.join(state.left_out)}"
        return Check(name="verify", status="warning", message=message, remedy=_BY_HAND)
    ended = f"done {rfc3339(state.ended_at)}" if state.ended_at else "under way"
    return Check.passed("verify", f"all stored data is verified every {days:g} days; begun {begun}, {ended}")


def _findings(state: Verification) -> Iterator[Check]:
    for one in state.findings:
        remedy = " ".join(filter(None, (one.fault.remedy, _LOOK)))
        message = f"{one.fault.problem}; found {rfc3339(one.seen_at)}"
        yield Check(name=f"verify/{one.fault.path}", status="warning", message=message, remedy=remedy)
