"""Verifies tables against their snapshots, one after the other, as long as there is time."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from shared.avepoint.catalog import Dataset, catalog
from shared.doctor.verifying.documents import Finding, Verification
from shared.doctor.verifying.snapshots import TimeLeft
from shared.errors import StoredFault
from shared.harvest.snapshots.verifying import Fault
from shared.services import Services
from shared.tables.build import names
from shared.tables.build.builder import is_building
from shared.tables.build.state import TableState, read_state
from shared.tables.serving.table_info import table_states
from shared.tables.verifying.checking import TableReport, check_table

LONGEST_CHECK = 240.0
"""Seconds: a table that takes longer is left to the command."""

_REBUILD = "POST /api/datasets/{source}/{dataset}/rebuild makes the table again from its snapshots."
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class TablesTurn:
    """One turn at verifying tables, with the state as it stands."""

    services: Services
    state: Verification
    now: datetime

    async def work(self, time_left: TimeLeft) -> bool:
        """Verify what comes next, the last built first; return whether all tables of this pass are done.

        While a build is under way in this process, no table is looked at: there is memory for one at a time.
        """
        built = await self._built()
        for state in self._waiting(built):
            if is_building() or not time_left():
                break
            await self._verify(catalog()[state.source, state.dataset])
        return all(_name(state) in self.state.tables for state in built)

    async def _built(self) -> list[TableState]:
        """Return the states of the tables that are there, the last built first."""
        states = (await table_states(self.services.storage)).values()
        built = [state for state in states if isinstance(state, TableState) and self._has_table(state)]
        return sorted(built, key=lambda state: state.built_at or _EPOCH, reverse=True)

    def _has_table(self, state: TableState) -> bool:
        is_known = (state.source, state.dataset) in catalog()
        enabled = names.is_enabled(self.services.settings, state.source, state.dataset)
        return is_known and enabled and state.ground.run_id is not None

    def _waiting(self, built: Sequence[TableState]) -> list[TableState]:
        again = self.state.due_again("table", self.now)
        return [
            state
            for state in built
            if self._is_settled(state) and ((name := _name(state)) in again or name not in self.state.tables)
        ]

    def _is_settled(self, state: TableState) -> bool:
        """Whether nobody is about to change a table."""
        return state.build is None and state.redo is None and state.held_until(self.now) is None

    async def _verify(self, dataset: Dataset) -> None:
        before = (await read_state(self.services.storage, dataset.source, dataset.name)).value
        name = _name(before)
        if not self._is_settled(before):
            return
        report, left_out = None, self.state.left_out
        try:
            async with asyncio.timeout(LONGEST_CHECK):
                report = await check_table(self.services, dataset, before, lambda _: None)
        except TimeoutError:
            left_out = (*left_out, name)
        except StoredFault as fault:
            report = TableReport.unreadable(before, fault.text)
        after = (await read_state(self.services.storage, dataset.source, dataset.name)).value
        if report and report.problems and after != before:  # it was built meanwhile: the next sweep looks again
            return
        tables = tuple(dict.fromkeys((*self.state.tables, name)))
        self.state = self.state.model_copy(update={"tables": tables, "left_out": left_out})
        if report:
            self.state = self.state.found(name, self._findings(report))

    def _findings(self, report: TableReport) -> list[Finding]:
        name = f"{report.source}/{report.dataset}"
        remedy = _REBUILD.format(source=report.source, dataset=report.dataset)
        return [
            Finding(
                kind="table",
                unit=name,
                fault=Fault(path=f"tables of {name}", problem=problem, remedy=remedy),
                seen_at=self.now,
                source=report.source,
                dataset=report.dataset,
            )
            for problem in report.problems
        ]


def _name(state: TableState) -> str:
    return f"{state.source}/{state.dataset}"
