"""What is in storage after a night, and what changed since the night before."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import httpx
from azure.storage.blob.aio import ContainerClient

from sandbox.demo.api import ok
from sandbox.demo.harvest import TABLED, Run
from sandbox.readback import Snapshot, read_snapshot
from sandbox.stack import Stack

RESOURCES: Final = {"enpower": "legacy-enpower-", "graph": "", "elements": "elements-"}
"""How the simulated AvePoint names the datasets of a source."""

MOST_ROWS: Final = 1000


@dataclass(frozen=True, slots=True)
class Changed:
    """What changed in a dataset from one night to the next."""

    name: str
    before: int
    after: int
    kinds: Counter[str]

    @property
    def faults(self) -> tuple[str, ...]:
        """The sum of what came and went has to be the difference."""
        if self.before + self.kinds["added"] - self.kinds["removed"] == self.after:
            return ()
        return (f"{self.before} items, then {self.after}, but the changes are {dict(self.kinds)}",)


async def read_back(stack: Stack, runs: Sequence[Run]) -> list[Snapshot]:
    """Return every newest snapshot, read from storage and checked against its manifest."""
    async with ContainerClient.from_connection_string(stack.azurite.connection_string, "inventory") as inventory:
        return [await read_snapshot(inventory, run.source, dataset.dataset) for run in runs for dataset in run.datasets]


async def compared(client: httpx.AsyncClient, avepoint_url: str, snapshot: Snapshot) -> Snapshot:
    """Return a snapshot with a fault more where AvePoint holds another number of items.

    A list by time holds its newest items, so it can lose its oldest ones between the end of the window and now.
    """
    if snapshot.parents is not None:
        return snapshot  # no total of AvePoint's is known beforehand: its verdict says whether each parent gave all
    url = f"{avepoint_url}/_sandbox/items/{RESOURCES[snapshot.source]}{snapshot.dataset}"
    queries: list[dict[str, str]] = [{}]
    if snapshot.window:
        since, until = snapshot.window
        window = {"since": since, "until": until}
        queries = [window | {"at": until}, window]
    held = sorted({len((await ok(client.get(url, params=query))).json()) for query in queries})
    if held[0] <= snapshot.items <= held[-1]:
        return snapshot
    holds = " to ".join(map(str, held))
    return replace(snapshot, faults=(*snapshot.faults, f"{snapshot.items} items, AvePoint holds {holds}"))


async def what_changed(
    client: httpx.AsyncClient, before: Sequence[Snapshot], after: Sequence[Snapshot]
) -> list[Changed]:
    """Return, for each dataset that has a table, what changed from one night to the next."""
    first = {snapshot.name: snapshot.items for snapshot in before}
    tabled = [one for one in after if one.name in TABLED]
    return [Changed(one.name, first[one.name], one.items, await _kinds(client, one.name)) for one in tabled]


async def _kinds(client: httpx.AsyncClient, name: str) -> Counter[str]:
    """Count the changes of the newest snapshot by their kind."""
    kinds: Counter[str] = Counter()
    url: str | None = f"datasets/{name}/changes?top={MOST_ROWS}"
    while url:
        page = (await ok(client.get(url))).json()
        kinds.update(change["change"] for change in page["value"])
        url = page.get("nextLink")
    return kinds
