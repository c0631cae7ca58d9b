"""A copy of the status page as one file: what the page would have been answered stands in it."""

import json
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from shared.clock import rfc3339
from shared.errors import AppError
from shared.harvest.snapshots.inventory import list_inventory
from shared.services import Services
from shared.tables.page.assets import page_file
from shared.tables.reporting.heads import reports
from shared.tables.serving.changes import ChangesQuery, read_changes
from shared.tables.serving.datasets import DatasetTable, current_table, find_dataset
from shared.tables.serving.history import read_history
from shared.tables.serving.report import describe_report, find_report, make_report
from shared.tables.serving.snapshots import SnapshotsQuery, read_snapshots
from shared.tables.serving.table_info import table_info, table_states

_HISTORY_DAYS: Final = 90
_CHANGES_SHOWN: Final = 100
_SNAPSHOTS_SHOWN: Final = 30
"""What the script of the page asks for: a copy holds the same."""

type Answers = dict[str, object]
type Answer = Callable[[Services, DatasetTable], Awaitable[Answers]]


async def copy_of_page(services: Services) -> str:
    """Return the page as one HTML document that needs neither the app nor a network.

    What is not there yet is left out: a report without its tables, the history of a dataset without one.
    """
    answers = await _answers(services)
    data = json.dumps({"madeAt": rfc3339(services.clock()), "answers": answers})
    return _inlined(data.replace("<", "\\u003c"))


def _inlined(data: str) -> str:
    """Put style, script and data into the page."""
    html = page_file("index.html").decode()
    html = re.sub(r'<link rel="stylesheet" href="status/([\w.]+)">', lambda found: _style(found[1]), html)
    script = f'<script type="application/json" id="data">{data}</script>\n'
    first = html.index('<script src="status/')
    html = html[:first] + script + html[first:]
    return re.sub(r'<script src="status/([\w.]+)"></script>', lambda found: _script(found[1]), html)


def _style(name: str) -> str:
    return f"<style>\n{page_file(name).decode()}</style>"


def _script(name: str) -> str:
    return f"<script>\n{page_file(name).decode().replace('</script', '<\\/script')}</script>"


async def _answers(services: Services) -> Answers:
    entries, states = await list_inventory(services), await table_states(services.storage)
    answers: Answers = {"reports": {"value": [describe_report(report) for report in reports().values()]}}
    listed = []
    for entry in entries:
        state = states.get((entry.source, entry.name))
        info = table_info(state, services.settings, entry.source, entry.name, latest_run=entry.latest_run)
        listed.append(json.loads(entry.to_json()) | {"table": json.loads(info.to_json())})
        if entry.latest_run is not None:
            answers |= await _of_dataset(services, entry.source, entry.name)
    answers["datasets"] = {"value": listed}
    for name in reports():
        with suppress(AppError):
            answer = await make_report(services, find_report(name), find_report(name).values({}))
            answers[f"reports/{name}"] = json.loads(answer.to_json())
    return answers


async def _of_dataset(services: Services, source: str, name: str) -> Answers:
    dataset = find_dataset(source, name)
    base = f"datasets/{source}/{name}"
    query = SnapshotsQuery(source=dataset.source, dataset=name, top=_SNAPSHOTS_SHOWN)
    entries, following = await read_snapshots(services.storage, dataset, query)
    snapshots: Answers = {"value": [json.loads(one.to_json()) for one in entries]}
    if following:
        snapshots["nextLink"] = f"{base}/snapshots"
    answers: Answers = {f"{base}/snapshots?top={_SNAPSHOTS_SHOWN}": snapshots}
    asked: dict[str, Answer] = {
        f"{base}/history?days={_HISTORY_DAYS}": _history,
        f"{base}/changes?top={_CHANGES_SHOWN}": _changes,
    }
    with suppress(AppError):
        current = await current_table(services, dataset)
        for path, answer in asked.items():
            with suppress(AppError):
                answers[path] = await answer(services, current)
    return answers


async def _history(services: Services, current: DatasetTable) -> Answers:
    counts = await read_history(services, current, by=None, days=_HISTORY_DAYS)
    return {"value": [json.loads(count.to_json()) for count in counts]}


async def _changes(services: Services, current: DatasetTable) -> Answers:
    dataset = current.dataset
    query = ChangesQuery(source=dataset.source, dataset=dataset.name, since=None, change=None, top=_CHANGES_SHOWN)
    page = await read_changes(services, current, query)
    answer: Answers = {"value": [json.loads(change) for change in page.changes], "until": page.until}
    return answer | {"nextLink": f"datasets/{dataset.source}/{dataset.name}/changes"} if page.next else answer
