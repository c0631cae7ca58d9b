"""One organisation: its AvePoint, its account and its app, at a time of its own."""

import json
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from sandbox.avepoint import AvePoint, Credentials
from sandbox.avepoint.app import create_app
from sandbox.stack import CLIENT_ID
from shared.avepoint.platform import Source
from shared.azure.storage import Container, Queue
from shared.harvest.plan import paths
from shared.harvest.snapshots.table_builds import TableAddress
from shared.tables.build.builder import advance_table
from tests.faults.points import Fate, Killed, unharmed
from tests.faults.test_first_release import FIXTURE
from tests.faults.world import HIDDEN_WHILE_AT_WORK, Clock, Host, Simulation, settings_with
from tests.loopback import Loopback
from tests.nights.account import Account, CountingHost, LockedStorage, Vault
from tests.nights.alerts import Alerts
from tests.nights.calling import call, request_row
from tests.nights.model import AUDIT, JOBS
from tests.opus.world import Host as OpusHost
from tests.opus.world import World as OpusWorld

GRAPH = (
    "enpower-environments",
    "enpower-powerapps",
    "enpower-cloudflows",
    "enpower-powerapp-launched-users",
    JOBS,
    AUDIT,
)
TABLED = ("graph/enpower-powerapps", "graph/iaas-backup-jobs", "elements/customers")
EVENTS_A_DAY = 3
ITEMS = {"*": 40, "enpower-environments": 10, "enpower-powerapps": 20, JOBS: 500, AUDIT: 500}
SETTINGS = {
    "enpower_datasets": ("powerapps",),
    "graph_datasets": GRAPH,
    "elements_datasets": ("customers",),
    "tables_datasets": TABLED,
    "key_vault_url": "https://vault.example",
    "client_secret": None,
}
DAY = timedelta(days=1)
FIRST_SECRET = "secret of the first day"


@dataclass
class Organisation:
    """What there is on a day, and what has to be known of it."""

    clock: Clock = field(default_factory=Clock)
    day: int = 0
    fate: Fate = unharmed
    """What happens at the await points of tonight's processes."""
    builds_run: bool = True
    """Whether the function that builds tables runs."""
    executions: int = 0
    sweeps: int = 0
    deaths: int = 0

    def __post_init__(self) -> None:
        first, *self._left = map(json.loads, FIXTURE.read_text().splitlines())
        self._messages = first["messages"]
        self.clock.now = datetime.fromisoformat(first["now"])
        self.first_day = self.clock.now.replace(hour=2, minute=0, second=0, microsecond=0)
        self.avepoint = AvePoint(credentials=Credentials(CLIENT_ID, FIRST_SECRET), clock=self._seconds)
        self.avepoint.change({"items": ITEMS, "everyMinutes": 24 * 60 // EVENTS_A_DAY})
        simulation = Simulation(self.avepoint, Loopback(create_app(self.avepoint)))
        vault = Vault(FIRST_SECRET, self.first_day + 400 * DAY)
        self.account = Account(simulation, settings_with(SETTINGS), self.clock, vault=vault)
        self.opus = OpusWorld(now=self.clock.now)
        self.opus_host = OpusHost(self.opus, self.opus.mine)
        self.alerts = Alerts(lambda: max(self.clock.now, self.opus.now))

    def _seconds(self) -> float:
        return self.clock.now.timestamp()

    @property
    def storage(self) -> LockedStorage:
        """The storage account of the day."""
        return self.account.storage

    @property
    def began(self) -> datetime:
        """When the day began, with the tick of the timers."""
        return self.first_day + self.day * DAY

    @property
    def bytes(self) -> int:
        """Bytes of everything that is stored."""
        return sum(len(blob.data) for blobs in self.storage.blobs.values() for blob in blobs.values())

    def expect(self, rule: str, series: str = "", *, in_days: int = 0) -> None:
        """Expect an alert today, or in some days."""
        self.alerts.expect(rule, series, on=self.day + in_days)

    def run_id(self, source: Source) -> str:
        """Return the run of tonight."""
        return paths.run_id(source, self.began)

    def change_settings(self, **changes: object) -> None:
        """Give the processes that are still to be started other settings."""
        self.account.settings = self.account.settings.model_copy(update=changes)

    async def begin(self) -> None:
        """Find what the first release has left, a run in the middle among it."""
        guard, self.storage.changed = self.storage.changed, lambda *_: None
        for blob in self._left:
            self.storage.put(Container(blob["container"]), blob["path"], b64decode(blob["data"]))
        self.storage.changed = guard
        for message in self._messages:
            await self.storage.enqueue(Queue.SLICES, message)
        host = Host(self.account)
        await host.settle(steps=2000)
        await host.close()
        await self.build()

    def next_day(self) -> None:
        """Let the next day begin, on which nothing has befallen yet."""
        self.day += 1
        assert self.clock.now <= self.began, "the day before has not ended"
        self.clock.now = self.began
        self.fate, self.builds_run = unharmed, True
        self.account.settings = settings_with(SETTINGS)
        self.avepoint.change({"night": self.day, "items": ITEMS})

    def host(self) -> CountingHost:
        """Return a host for tonight."""
        return CountingHost(self.account, self.fate)

    def count(self, host: CountingHost, *, sweeps: int, starts: int) -> None:
        """Count what a host has run: by itself, and as it was told to."""
        self.executions += host.executions + sweeps + starts
        self.sweeps += host.sweeps + sweeps
        self.deaths += host.deaths

    async def build(self) -> None:
        """Be the queue of the tables: a message whose process died comes again."""
        queue, host = self.storage.queues[Queue.TABLES], self.host()
        while queue and self.builds_run:
            address = TableAddress.from_json(queue[0].body.encode())
            self.executions += 1
            try:
                await host.run(partial(advance_table, address=address))
            except Killed:
                self.clock.now += HIDDEN_WHILE_AT_WORK
            else:
                queue.pop(0)
        self.deaths += host.deaths
        await host.close()

    async def call(self, path: str, query: Mapping[str, str] | None = None, *, fate: Fate = unharmed) -> int:
        """Be a program that calls the app, and return the status of the answer."""
        process = self.account.process(fate)
        response = await process.run(lambda services: call(services, path, query))
        await process.close()
        self.alerts.requests.append(request_row(path, response, at=self.clock.now))
        status: int = response.status_code
        return status

    def open_opus(self) -> OpusHost:
        """Return a host that asks Opus, on the account and at the time of today; ``close_opus`` takes the time back."""
        self.opus.storage, self.opus.now = self.storage, self.clock.now
        return self.opus_host

    def close_opus(self) -> None:
        """Let the time go on from where Opus has left it."""
        self.clock.now = self.opus.now
