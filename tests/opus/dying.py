"""Executors that come to grief in the middle of a call, up to a killed process that tidies nothing up."""

from collections.abc import Sequence
from typing import override

from shared.avepoint.opus import ConflictOption, Record
from shared.opus.client.client import Opus, opus_api
from shared.opus.client.verdicts import CallVerdict
from shared.opus.operations.assembly import dates_of
from shared.opus.operations.operations import Operations
from tests.opus.conftest import Bench


class Killed(BaseException):
    """The process is gone."""


class DyingOpus(Opus):
    """Raises an error before the call is out, or after it was carried out."""

    error: BaseException = Killed()
    executes = False

    @override
    async def submit(self, connection: str, conflict_option: ConflictOption, records: Sequence[Record]) -> CallVerdict:
        if self.executes:
            await super().submit(connection, conflict_option, records)
        raise self.error

    @override
    async def destroy(self, ids: Sequence[str]) -> CallVerdict:
        if self.executes:
            await super().destroy(ids)
        raise self.error


class DyingBench(Bench):
    """A bench whose executors die."""

    error: BaseException
    executes: bool

    @property
    @override
    def operations(self) -> Operations:
        settings = self.services.settings
        opus = DyingOpus(opus_api(settings), transport=self.services.transport, dates=dates_of(settings))
        opus.error, opus.executes = self.error, self.executes
        return self.operations_with(opus)


def dying(bench: Bench, error: BaseException | None = None, *, executes: bool = False) -> Bench:
    """The same bench with executors that die of ``error``."""
    changed = DyingBench(bench.services, bench.clock, bench.avepoint)
    changed.error, changed.executes = error or Killed(), executes
    return changed
