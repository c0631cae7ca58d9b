"""How many items a dataset had day by day, in all or by the values of a field."""

from datetime import timedelta
from typing import Final

from shared.closest import closest_hint
from shared.document import Document
from shared.errors import InvalidInput
from shared.services import Services
from shared.tables.build.names import HISTORY
from shared.tables.history.columns import HISTORY as COLUMNS
from shared.tables.queries.sql import Sql
from shared.tables.serving.datasets import DatasetTable
from shared.tables.serving.reader import reader_of

MAX_DAYS: Final = 3_650
_MAX_ROWS: Final = 100_000


class DayCount(Document):
    """How many items had a value on a day; ``value`` is null for all of them, and for those without one."""

    day: str
    value: str | None
    items: int


async def read_history(services: Services, current: DatasetTable, *, by: str | None, days: int) -> list[DayCount]:
    """Return counts of the last days, the oldest first; of more than 100,000 the newest.

    Raises:
        InvalidInput: Items are not counted by this field.
    """
    groups = current.spec.groups
    if by is not None and by not in groups:
        message = f"by: items are not counted by {by[:100]!r}{closest_hint(by, groups)}"
        raise InvalidInput(message, target="by", remedy=f"They are by: {', '.join(groups) or 'nothing'}.")
    table = await reader_of(services).version(HISTORY)
    since = f"{services.clock() - timedelta(days=days):%Y-%m-%d}"
    wanted = Sql(
        f"SELECT day, value, items FROM {table.relation(COLUMNS)} WHERE source = ? AND dataset = ? AND day > ?"
        f" AND field {'IS NULL' if by is None else '= ?'} ORDER BY day DESC, items, value DESC LIMIT ?",
        (current.dataset.source, current.dataset.name, since, *([] if by is None else [by]), _MAX_ROWS),
    )
    found = await reader_of(services).rows(wanted)
    return [DayCount(day=day, value=value, items=items) for day, value, items in reversed(found)]
