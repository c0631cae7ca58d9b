"""The command finds whatever a table has, or lacks, that its snapshot has not (promise 10)."""

import json

import duckdb
import pytest

from sandbox.memory_storage import MemoryStorage
from shared.azure.storage import Container
from shared.tables import verify
from shared.tables.verify import verify_tables
from tests.conftest import Clock
from tests.tables.nights import Nights


def app(number: int, **fields: object) -> dict[str, object]:
    return {"id": f"app{number}", "displayName": f"App {number}", **fields}


@pytest.fixture
async def nights(memory: MemoryStorage, clock: Clock) -> Nights:
    found = Nights.of(memory, clock, "graph/enpower-powerapps")
    await found.night([app(1), app(2, _key=9)], [app(1, status="b"), app(3)])
    return found


async def problems(nights: Nights) -> tuple[str, ...]:
    (report,) = await verify_tables(nights.services(), [nights.dataset])
    return report.problems


async def test_a_table_as_it_was_built_is_well(nights: Nights) -> None:
    assert await problems(nights) == ()


async def test_tables_of_increments_are_well(memory: MemoryStorage, clock: Clock) -> None:
    jobs = Nights.of(memory, clock, "graph/m365-backup-jobs")
    for number in range(3):
        await jobs.night([{"id": f"job{number}"}, {"id": "job", "status": str(number)}])
    assert await problems(jobs) == ()


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("SELECT * REPLACE ('b' AS \"displayName\") FROM t", "rows are not as the snapshot"),
        ("SELECT * FROM t WHERE _key <> 'app3'", "rows of the snapshot"),
        ("SELECT * FROM t UNION ALL SELECT * FROM t", "keys have several rows"),
        ("SELECT * REPLACE (NULL AS _rescued) FROM t", "rows are not as the snapshot"),
    ],
)
async def test_what_was_changed_is_found(nights: Nights, tmp_path: object, change: str, found: str) -> None:
    blobs = nights.storage.blobs[Container.TABLES]
    for path in [path for path in blobs if path.endswith(".parquet") and path.startswith("graph_enpower_powerapps/")]:
        file = f"{tmp_path}/one.parquet"
        with open(file, "wb") as target:  # noqa: ASYNC230, PTH123 - a test
            target.write(blobs[path].data)
        with duckdb.connect() as connection:
            connection.execute(f"CREATE TABLE t AS SELECT * FROM read_parquet('{file}')")
            connection.execute(f"COPY ({change}) TO '{file}' (FORMAT parquet)")
        with open(file, "rb") as source:  # noqa: ASYNC230, PTH123 - a test
            await nights.storage.write(Container.TABLES, path, source.read(), etag=blobs[path].etag)
    assert any(found in problem for problem in await problems(nights))


@pytest.mark.parametrize("what", ["state", "manifest", "part", "log"])
async def test_what_is_damaged_of_one_table_keeps_no_other_back(
    memory: MemoryStorage, clock: Clock, nights: Nights, what: str
) -> None:
    flows = Nights.of(memory, clock, "graph/enpower-cloudflows")
    await flows.night([{"flowId": "a"}])
    container, beginning = {
        "state": (Container.HARVEST_STATE, "tables/graph/enpower-powerapps.json"),
        "manifest": (Container.INVENTORY, "manifests/graph/enpower-powerapps/"),
        "part": (Container.INVENTORY, "raw/graph/enpower-powerapps/"),
        "log": (Container.TABLES, "graph_enpower_powerapps/_delta_log/"),
    }[what]
    for path in [path for path in memory.blobs[container] if path.startswith(beginning)]:
        del memory.blobs[container][path]
        await memory.write(container, path, b"{", etag=None)
    apps, others = await verify_tables(nights.services(), [nights.dataset, flows.dataset])
    assert (apps.dataset, others.dataset) == ("enpower-powerapps", "enpower-cloudflows")
    assert len(apps.problems) == 1
    assert "it cannot be compared" in apps.problems[0]
    assert others.problems == ()


async def test_a_published_snapshot_without_a_table_is_named_once_somebody_should_have_built_it(
    memory: MemoryStorage, clock: Clock, nights: Nights
) -> None:
    flows, off = (Nights.of(memory, clock, f"graph/{name}") for name in ("enpower-cloudflows", "enpower-agents"))
    manifest = await flows.publish([{"flowId": "a"}], at=clock.now)
    await off.publish([{"id": "a"}])
    services = nights.services(TABLES_DATASETS="*, !graph/enpower-agents")
    every = [nights.dataset, flows.dataset, off.dataset]
    assert [one.dataset for one in await verify_tables(services, every)] == ["enpower-powerapps"]
    clock.advance(minutes=10)
    del memory.blobs[Container.HARVEST_STATE]["tables/graph/enpower-powerapps.json"]
    lost, missing = await verify_tables(services, every)
    assert [one.problems for one in (lost, missing)] == [
        (f"no table is known of the snapshot {nights.runs[0]}, which is published",),
        (f"no table is known of the snapshot {manifest.run_id}, which is published",),
    ]
    flows.forget_parts(manifest)
    assert await flows.build() == "failed"
    (failed,) = await verify_tables(services, [flows.dataset])
    assert "raw files" in failed.problems[0]


class TestCommand:
    def test_exits_with_2_where_it_cannot_look(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("INVENTORY_STORAGE", "nonsense")
        assert verify.main([]) == 2
        assert verify.main(["--dataset", "enpower-powerapp"]) == 2
        assert "enpower-powerapps" in capsys.readouterr().err

    @pytest.mark.usefixtures("services")  # which empty the storage of what other tests have left
    def test_says_what_it_found(
        self, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        assert verify.main(["--source", "elements", "--json"]) == 0
        assert json.loads(capsys.readouterr().out) == {"value": []}
        assert verify.main([]) == 0
        assert capsys.readouterr().out.endswith("tables, 0 problems\n")
