"""Looks at what is due: before a destroy is sent, and after a lost answer."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from shared.credentials.secrets import VaultUnavailable
from shared.errors import (
    AppError,
    BadResponse,
    BrokenChain,
    Misconfigured,
    Retry,
    StorageUnavailable,
    TokenUnavailable,
    Unauthorized,
    Wait,
)
from shared.opus.client.due_list import StillDue
from shared.opus.ledger.documents import Outcome
from shared.opus.operations.rules import Work, lookup_keys

if TYPE_CHECKING:
    from shared.opus.operations.execution import Execution

_OURS = (Misconfigured, StorageUnavailable)
"""What is ours to put right: it ends no work."""

_MAY_PASS = (Retry, BadResponse, BrokenChain, TimeoutError)
"""What the next look may not meet: a list that changes while it is read can seem to repeat itself."""

_NO_TOKEN = (TokenUnavailable, VaultUnavailable)
"""What passes, and is no attempt: Opus was not asked."""


async def look_before_sending(execution: "Execution") -> None:
    """See which items are due, unless that is known: what is not due is not sent, and what is was seen due by this app.

    While the list cannot be had, the execution has an instant to come back.
    """
    works = [execution.work(number) for number in _unseen(execution)]
    if not works:
        return
    try:
        due = await _look(execution, works)
    except Wait as error:
        execution.wait_until(error.until)
    except _OURS:
        raise
    except _NO_TOKEN:
        _not_asked(execution, works)
    except _MAY_PASS as error:
        await _look_later(execution, works, error)
    except AppError as error:
        code = "UpstreamUnauthorized" if isinstance(error, Unauthorized) else "UpstreamRejected"
        await _fail(execution, works, code, error)
    else:
        execution.count_wait(failed=False)
        await _note_due(execution, works, due)


async def look_after_doubt(execution: "Execution", numbers: Sequence[int]) -> None:
    """See which of the items that are perhaps destroyed are still due."""
    works = [execution.work(number) for number in numbers]
    try:
        due = await _look(execution, works)
    except Wait as error:
        execution.wait_until(error.until)
    except _OURS:
        raise
    except _NO_TOKEN:
        _not_asked(execution, works)
    except (AppError, TimeoutError) as error:
        again, looks = isinstance(error, _MAY_PASS), execution.count_wait(failed=True)
        for work in works:
            await execution.follow(work.number, work.apply_failed_lookup(_text(error), again=again, first=looks == 1))
        if execution.in_phase("unknown"):
            _pause(execution, looks)
    else:
        execution.count_wait(failed=False)
        for work in works:
            await execution.follow(work.number, work.apply_lookup(due))


def _unseen(execution: "Execution") -> list[int]:
    if not execution.order.can_be_looked_up:
        return []
    pending = execution.in_phase("pending")
    unsent = [number for number in pending if execution.batches[number].first_sent_at is None]
    return [number for number in unsent if number not in execution.looked_at]


async def _look(execution: "Execution", works: Sequence[Work]) -> StillDue:
    order, tools = execution.order, execution.tools
    if order.connection is None or order.before is None:
        raise AssertionError("only what can be looked up is looked at")
    async with asyncio.timeout(execution.seconds_left()):
        return await tools.opus.still_due(order.connection, order.before, lookup_keys(works), pages=tools.lookup_pages)


async def _look_later(execution: "Execution", works: Sequence[Work], error: AppError | TimeoutError) -> None:
    looks = execution.count_wait(failed=True)
    later = {work.number: work.look_later(first=looks == 1) for work in works}
    execution.batches = [later.get(number) or batch for number, batch in enumerate(execution.batches)]
    if all(later.values()):
        _pause(execution, looks)
    else:
        await _fail(execution, [work for work in works if later[work.number] is None], "UpstreamFailed", error)


def _not_asked(execution: "Execution", works: Sequence[Work]) -> None:
    _pause(execution, execution.count_wait(failed=True))
    for work in works:
        execution.batches[work.number] = work.unasked()


def _pause(execution: "Execution", looks: int) -> None:
    """Look again later, and the more rarely the more ``looks`` in a row came to nothing."""
    execution.wait_until(execution.tools.clock() + execution.tools.pause(looks))


async def _fail(execution: "Execution", works: Sequence[Work], code: str, error: AppError | TimeoutError) -> None:
    reason = f"Nothing was sent, because the due records cannot be looked up: {_text(error)}"
    for work in works:
        await execution.follow(work.number, work.unprocessed(code, reason))


async def _note_due(execution: "Execution", works: Sequence[Work], due: StillDue) -> None:
    for work in works:
        follows = work.apply_first_look(due)
        if isinstance(follows, Outcome):
            await execution.follow(work.number, follows)
        else:
            execution.batches[work.number] = follows
            execution.looked_at.add(work.number)


def _text(error: AppError | TimeoutError) -> str:
    return error.text if isinstance(error, AppError) else "AvePoint did not answer in time."
