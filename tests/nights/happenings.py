"""What befalls an organisation in each month, and which alerts that raises."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random

from sandbox.avepoint import Credentials
from sandbox.stack import CLIENT_ID
from shared.azure.storage import Container, Stored
from shared.credentials.secrets import EXPIRY_WARNING
from shared.doctor.verifying.documents import STATE as VERIFICATION
from shared.errors import StorageUnavailable
from shared.harvest.plan import paths
from shared.harvest.runs.repairing import repairs
from shared.harvest.snapshots.manifest import read_newest_manifest
from shared.opus.evidence.archive import Archive
from shared.opus.intake.inputs import ResolveInput
from shared.opus.ledger.store import OperationStore
from shared.opus.prune import declare
from shared.settings import DEFAULT_SECRET_NAME
from shared.tables.build.names import STATES
from tests.faults.points import DeathAt, Killed, Point
from tests.faults.promises import require
from tests.nights.account import LOCKED
from tests.nights.organisation import DAY, ITEMS, TABLED, Organisation
from tests.opus.world import CONNECTION
from tests.opus.world import call as opus_call

MONTH = 30
DEADLY, MORTALITY = (2, 8, 11, 17, 23), 1 / 300
"""The nights of a month on which hosts are killed, and how likely a process dies at an await point."""

SILENT = (range(21, 24), range(201, 212))
"""The days on which the flow that calls every day does not."""

MISSED = {23, 209, 210, 211}
"""When it is missed: after two days, and the second time once its first pause has passed twice."""

FIVE_DELIVERIES = timedelta(seconds=48)
"""How long a message fails until it is poison: it comes again every ten seconds."""

LATER = "ofALaterVersion"
CUSTOMERS, APPS = "elements-customers", "graph/enpower-powerapps"


@dataclass
class Deaths:
    """Kills processes by chance, but only some: work that is done in one piece comes to its end."""

    random: Random
    left: int = 12

    async def __call__(self, _: Point) -> None:
        if self.left and self.random.random() < MORTALITY:
            self.left -= 1
            raise Killed


@dataclass
class StorageAway:
    """Lets Azure Storage answer nobody who wants something, until a time."""

    clock: Callable[[], datetime]
    until: datetime
    verb: str = ""
    what: str = ""

    async def __call__(self, point: Point) -> None:
        meant = point.of_storage and self.verb in {"", point.verb} and self.what in point.what
        if meant and self.clock() < self.until:
            raise StorageUnavailable("Azure Storage answered 503")


@dataclass
class Happenings:
    """What befalls an organisation: before the timers fire, once all is harvested, and by day."""

    here: Organisation
    pruned: set[str] = field(default_factory=set)
    """The pieces of evidence whose time was over."""
    marked: set[str] = field(default_factory=set)
    """The documents in which a later version has left names of its own."""
    _backup: dict[str, bytes] = field(default_factory=dict)
    _whole: tuple[str, Stored] | None = None
    _uncertain: str = ""

    async def befall(self) -> None:
        """Let happen what happens before the timers fire."""
        here, day = self.here, self.here.day % MONTH
        if not any(here.day in silent for silent in SILENT):
            require(await here.call("triggers/snapshots") < 300, "the flow was refused")
        if here.day in MISSED:
            here.expect("missed", "on_snapshot by key")
        if day in DEADLY:
            here.fate = Deaths(Random(here.day))  # noqa: S311 - chance, no secret
        self._befall_avepoint(day)
        self._befall_app(day)
        await self._befall_state(day)

    def _befall_avepoint(self, day: int) -> None:
        """Let AvePoint be away for half an hour, hold less for a day, or refuse a list."""
        here = self.here
        match day:
            case 4:
                path = "/smp/*" if here.day > MONTH else "/smp/powerplatform/powerapps"
                self._fault(path=path, status=502, body="<html>Bad gateway</html>", seconds=1800)
            case 6:
                here.avepoint.change({"items": {CUSTOMERS: ITEMS["*"] * 6 // 10}})
                here.expect("shrunk", "elements/customers")
            case 7:
                here.avepoint.change({"items": {CUSTOMERS: ITEMS["*"]}})
            case 9:
                self._fault(path="/aos/audit", failure={"status": 403, "list": "empty"}, times=None)
                here.expect("failed-run", here.run_id("graph"))
                here.expect("stale", "graph/aos-audit")

    def _befall_app(self, day: int) -> None:
        """Let another version be at work, a secret end, the budget be small, or a function not run."""
        here = self.here
        match day:
            case 3:
                self._upgrade()
            case 12:
                here.account.vault.expires = here.began + EXPIRY_WARNING
                for in_days in range(2):
                    here.expect("expiring", DEFAULT_SECRET_NAME, in_days=in_days)
            case 14:
                self._renew_secret()
            case 22:
                here.change_settings(throttle_requests=20)
                here.expect("budget")
            case 25:
                here.builds_run = False
            case 26:
                here.builds_run = False
                for table in TABLED:
                    here.expect("tables", table)

    async def _befall_state(self, day: int) -> None:
        """Let storage be away, be restored or lie in another account."""
        here = self.here
        match day:
            case 18:
                await self._resolve()
                state = here.storage.blobs[Container.HARVEST_STATE]
                self._backup = {path: one.data for path, one in state.items() if path.startswith(paths.WATERMARKS)}
            case 19:
                await self._restore()
            case 20:
                partition = f"runs/{here.run_id('elements')}/elements/customers/"
                here.fate = StorageAway(here.clock, here.began + FIVE_DELIVERIES, "read", partition)
                here.expect("poison", here.run_id("elements"))
            case 24:
                here.account.use(here.storage.moved())

    async def after_harvest(self) -> None:
        """Let happen what happens once tables are built, before the app looks at what is stored."""
        if self.here.day % MONTH == 27:
            await self._damage()

    async def by_day(self) -> None:
        """Let happen what happens when the night is over."""
        here = self.here
        if here.day % 7 == 0:
            await self._dispose()
        match here.day % MONTH:
            case 15:
                await self._lose_an_answer()
            case 16:
                await self._call_in_vain()
            case 27:
                self._repair()
            case 29:
                await self._call_all_day()
            case 0 if here.day > MONTH:
                await self._prune()

    def _fault(self, **rule: object) -> None:
        self.here.account.simulation.fault(**rule)

    def _upgrade(self) -> None:
        """Let a later version end what runs, be at work for a night and be taken back: its names are in documents."""
        self.here.fate = DeathAt(60)
        state = self.here.storage.blobs[Container.HARVEST_STATE]
        tables = [path for path in state if path.startswith(STATES) and path.endswith(".json")]
        for path in [*tables, *({VERIFICATION} & state.keys())]:
            document = {**json.loads(state[path].data), LATER: self.here.day}
            self.here.storage.put(Container.HARVEST_STATE, path, json.dumps(document).encode())
            self.marked.add(path)

    def _renew_secret(self) -> None:
        vault = self.here.account.vault
        vault.value, vault.expires = f"secret of day {self.here.day}", self.here.began + 100 * DAY
        self.here.avepoint.identity.credentials = Credentials(CLIENT_ID, vault.value)

    async def _restore(self) -> None:
        """Bring the state of the harvests back to what it was the evening before, and set right what does not fit."""
        storage = self.here.storage
        state = storage.blobs[Container.HARVEST_STATE]
        for path in [path for path in state if path.startswith(paths.WATERMARKS)]:
            del state[path]
        for path, data in self._backup.items():
            storage.put(Container.HARVEST_STATE, path, data)
        async for one in repairs(storage, now=self.here.clock.now):
            await one.apply()

    async def _damage(self) -> None:
        """Let the end of a part be lost, where the app does not see it happen."""
        here, blobs = self.here, self.here.storage.blobs[Container.INVENTORY]
        source, _, dataset = APPS.partition("/")
        manifest = await read_newest_manifest(here.storage, "graph", dataset, now=here.clock.now)
        assert manifest is not None
        path = manifest.parts[0].path
        self._whole = path, blobs[path]
        blobs[path] = Stored(blobs[path].data[:-1], blobs[path].etag)
        for in_days in range(3):
            here.expect("verify", f"snapshot {source}/{dataset}", in_days=in_days)

    def _repair(self) -> None:
        assert self._whole is not None
        path, stored = self._whole
        self.here.storage.blobs[Container.INVENTORY][path] = stored

    async def _lose_an_answer(self) -> None:
        """Let a flow destroy something, and the answer of Opus be lost: nobody but a person can say what happened."""
        here = self.here
        here.clock.now = here.began + timedelta(hours=4)
        host = here.open_opus()
        here.opus.mine.moods.append("lost")
        begun = await host.destroy(f"lost-{here.day}", [f"contract-{here.day}"])
        self._uncertain = begun.operation.operation_id
        ended = await here.opus.finish(host, self._uncertain)
        require(ended.operation.status == "Uncertain", f"without an answer it is {ended.operation.status}")
        await self._run_messages()
        here.expect("destroyed", self._uncertain)
        here.expect("uncertain", in_days=2)

    async def _resolve(self) -> None:
        host = self.here.open_opus()
        said = ResolveInput(outcome="Succeeded", note="It is gone.", checkedBy="Somebody")
        await host.operations.resolve(self._uncertain, opus_call(None), said)
        self.here.expect("destroyed", self._uncertain)
        await self._run_messages()

    async def _dispose(self) -> None:
        """Let the flows of a week submit some records, and destroy them."""
        here, host = self.here, self.here.open_opus()
        ids = [f"record-{here.day}-{number}" for number in range(20)]
        begun = await host.submit(f"submit-{here.day}", ids)
        await here.opus.finish(host, begun.operation.operation_id)
        begun = await host.destroy(f"destroy-{here.day}", ids, looked_up=True)
        await here.opus.finish(host, begun.operation.operation_id)
        here.expect("destroyed", begun.operation.operation_id)
        await self._run_messages()

    async def _run_messages(self) -> None:
        """Bring the messages of those that watch over what has ended."""
        while await self.here.opus.deliver(self.here.opus_host):
            pass
        self.here.close_opus()

    async def _call_in_vain(self) -> None:
        """Let a program call while Azure Storage is away."""
        here = self.here
        away = StorageAway(here.clock, here.began + DAY)
        for _ in range(5):
            here.clock.now += timedelta(minutes=1)
            require(await here.call("datasets", fate=away) == 503, "storage is away")
        here.expect("server-errors")

    async def _call_all_day(self) -> None:
        """Let a program call more often in each hour than the request budget allows."""
        here = self.here
        here.change_settings(throttle_requests=1)
        query = {"before": here.began.strftime("%Y-%m-%dT%H:%M:%SZ"), "top": "1"}
        path = f"opus/connections/{CONNECTION}/records/due"
        while (here.clock.now + timedelta(hours=1)) < here.began + DAY:
            here.clock.now += timedelta(hours=1)
            for _ in range(2):
                await here.call(path, query)
        here.expect("budget")
        for in_days in range(2):
            here.expect("never-free", "http", in_days=in_days)

    async def _prune(self) -> None:
        """Let the keeper of records delete the evidence whose time is over, once its chain says so."""
        here = self.here
        store = OperationStore(here.storage)
        archive = Archive(store, clock=here.clock, sleep=here.clock.sleep, random=lambda: 0.5)
        before = (here.began - LOCKED).date()
        wrong, lines = await declare(store, archive, before=before, today=here.began.date(), apply=True)
        require(lines and not wrong, f"evidence that cannot be pruned: {wrong}")
        old = [path async for path in here.storage.list(Container.EVIDENCE, "date=") if path < f"date={before}/"]
        for path in old:
            await here.storage.delete(Container.EVIDENCE, path)
        self.pruned |= set(old)
