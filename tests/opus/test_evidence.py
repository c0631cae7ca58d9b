"""Evidence is chained, whoever finishes when, and whoever is stopped where; what is tampered with is found."""

import asyncio
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256

import pytest

from shared.opus.documents import Evidence, Link, Previous, ResolutionEvidence
from shared.opus.evidence import Archive, Head, Subject, head_path
from shared.opus.inputs import ResolveInput
from shared.opus.ledger import Ledger
from shared.opus.verify import gather_evidence, problems
from shared.storage import Container, Storage
from tests.opus.conftest import Bench, call, ids, records
from tests.opus.test_destroy import LOST_BEFORE_EXECUTION

SAID = ResolveInput(outcome="Failed", note="Still in Opus.", checkedBy="Jane")


async def chain_problems(bench: Bench, **asked: object) -> list[str]:
    seen, earlier = await gather_evidence(bench.services.storage, **asked)  # type: ignore[arg-type]
    return list(problems(seen, earlier=earlier))


async def chain(bench: Bench) -> list[Evidence]:
    return sorted(await bench.evidence(), key=lambda evidence: evidence.chain.sequence)


async def raw(storage: Storage, path: str) -> bytes:
    stored = await storage.read(Container.EVIDENCE, path)
    assert stored is not None
    return stored.data


async def test_every_piece_names_the_one_before_it_by_path_and_hash(bench: Bench) -> None:
    for key in "abc":
        await bench.submit(records(1), key=key)

    first, second, third = await chain(bench)

    assert first.chain == Link(caller="key", sequence=1, previous=None)
    for earlier, later in ((first, second), (second, third)):
        previous = later.chain.previous
        assert previous is not None
        assert previous.path.endswith(f"/{earlier.order.operation_id}.json")
        assert previous.sha256 == sha256(await raw(bench.services.storage, previous.path)).hexdigest()
    assert await chain_problems(bench) == []


async def test_callers_have_chains_of_their_own(bench: Bench) -> None:
    body = records(1)
    for caller in ("key", "entra:1", "entra:1"):
        bench.clock.advance(seconds=1)
        given = call(f"{bench.clock.now}")
        await bench.operations.submit(type(given)(caller, given.key, given.client), "c", body)

    links = sorted((one.chain.caller, one.chain.sequence) for one in await bench.evidence())

    assert links == [("entra:1", 1), ("entra:1", 2), ("key", 1)]
    assert await chain_problems(bench) == []


async def test_those_who_finish_at_once_stand_one_behind_the_other(bench: Bench) -> None:
    await asyncio.gather(*(bench.submit(records(1), key=str(number)) for number in range(12)))

    assert [one.chain.sequence for one in await chain(bench)] == list(range(1, 13))
    assert await chain_problems(bench) == []


async def test_two_processes_that_finish_at_once_do_not_fork_the_chain(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.opus.evidence._turn", lambda _: asyncio.Lock())

    await asyncio.gather(*(bench.submit(records(1), key=str(number)) for number in range(6)))

    assert [one.chain.sequence for one in await chain(bench)] == list(range(1, 7))
    assert await chain_problems(bench) == []


@dataclass
class Stopped(BaseException):
    """The process is gone."""


@pytest.fixture
def stop_before(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Let the process die before the next write of a path that holds a text."""
    create = bench.services.storage.create
    doomed: list[str] = []

    async def dying(container: Container, path: str, data: bytes) -> str:
        if doomed and doomed[0] in path:
            doomed.clear()
            raise Stopped
        return await create(container, path, data)

    monkeypatch.setattr(bench.services.storage, "create", dying)
    return doomed.append


async def test_whoever_comes_next_writes_what_a_dead_one_has_only_reserved(
    bench: Bench, stop_before: Callable[[str], None]
) -> None:
    stop_before("date=")
    with pytest.raises(Stopped):
        await bench.submit(records(2), key="dead")
    assert await bench.evidence() == []

    await bench.submit(records(1), key="next")

    dead, after = await chain(bench)
    assert (dead.order.client["idempotency-key"], dead.operation.succeeded) == ("dead", 2)
    assert (dead.chain.sequence, after.chain.sequence) == (1, 2)
    assert await chain_problems(bench) == []


@pytest.mark.parametrize("where", ["date=", "/operation.json"])
async def test_the_next_executor_finishes_what_a_dead_one_has_begun_to_finish(
    bench: Bench, stop_before: Callable[[str], None], where: str
) -> None:
    stop_before(where)
    with pytest.raises(Stopped):
        await bench.submit(records(2), key="dead")
    waiting = await bench.submit(records(2), key="dead")
    bench.clock.advance(seconds=90)

    operation = (await bench.finish(waiting.operation.operation_id)).operation

    assert (operation.status, len(bench.calls())) == ("Succeeded", 1)
    assert [one.chain.sequence for one in await chain(bench)] == [1]
    assert await chain_problems(bench) == []
    assert not [path for path in await bench.paths() if path.startswith("open/")]


async def test_a_resolution_has_evidence_of_its_own_in_the_chain_of_who_passed_it_on(bench: Bench) -> None:
    keys = await bench.fill(1)
    bench.fault(**LOST_BEFORE_EXECUTION)
    operation_id = (await bench.destroy(ids(keys))).operation.operation_id

    await bench.operations.resolve(operation_id, call(None), SAID)

    paths = await bench.paths(Container.EVIDENCE)
    path = next(path for path in paths if "resolution" in path)
    said = ResolutionEvidence.from_json(await raw(bench.services.storage, path))
    assert path.endswith(f"/{operation_id}-resolution-000.json")
    assert (said.operation_id, said.chain.sequence) == (operation_id, 3)
    assert (said.resolution.checked_by, said.resolution.note, said.resolution.ids) == ("Jane", SAID.note, tuple(keys))
    assert await chain_problems(bench) == []


async def test_a_resolution_that_was_cut_off_is_completed_by_the_queue(
    bench: Bench, stop_before: Callable[[str], None]
) -> None:
    keys = await bench.fill(1)
    bench.fault(**LOST_BEFORE_EXECUTION)
    operation_id = (await bench.destroy(ids(keys))).operation.operation_id
    stop_before("resolution-000")
    with pytest.raises(Stopped):
        await bench.operations.resolve(operation_id, call(None), SAID)

    await bench.operations.run(operation_id)

    assert len(await bench.paths(Container.EVIDENCE)) == 3
    assert (await bench.operations.uncertain()).operations == ()
    assert not [path for path in await bench.paths() if path.startswith("open/")]
    assert await chain_problems(bench) == []


class TestVerify:
    """What somebody who can write to storage may do is found, as far as anything is left to find it by."""

    @pytest.fixture
    async def paths(self, bench: Bench) -> list[str]:
        """The evidence of four operations on two days, in order."""
        for number in range(4):
            await bench.submit(records(1), key=str(number))
            bench.clock.advance(hours=12)
        pieces = await chain(bench)
        return [f"date={one.order.created_at:%Y-%m-%d}/{one.order.operation_id}.json" for one in pieces]

    @pytest.mark.usefixtures("paths")
    async def test_what_is_whole_is_whole(self, bench: Bench) -> None:
        assert await chain_problems(bench) == []
        assert await chain_problems(bench, caller="key") == []
        assert await chain_problems(bench, caller="nobody") == []

    async def test_what_was_changed(self, bench: Bench, paths: list[str]) -> None:
        changed = json.loads(await raw(bench.services.storage, paths[1]))
        changed["operation"]["succeeded"] = 7
        await overwrite(bench, paths[1], json.dumps(changed).encode())

        assert await chain_problems(bench) == [f"{paths[1]}: is not what it was when {paths[2]} followed it"]

    @pytest.mark.parametrize("number", [0, 1, 2])
    async def test_what_was_deleted(self, bench: Bench, paths: list[str], number: int) -> None:
        await bench.services.storage.delete(Container.EVIDENCE, paths[number])

        assert await chain_problems(bench) == [f"{paths[number]}: is missing; {paths[number + 1]} follows it"]

    async def test_what_was_deleted_at_the_end(self, bench: Bench, paths: list[str]) -> None:
        await bench.services.storage.delete(Container.EVIDENCE, paths[3])

        (problem,) = await chain_problems(bench)

        assert problem.startswith(f"{paths[3]}: is missing at the end of the chain of key")

    async def test_what_was_put_in(self, bench: Bench, paths: list[str]) -> None:
        forged = paths[2].replace(".json", "f.json")
        await overwrite(bench, forged, await raw(bench.services.storage, paths[2]))

        assert await chain_problems(bench) == [f"{forged}: is link 3 of key, and so is {paths[2]}"]

    async def test_what_is_none(self, bench: Bench, paths: list[str]) -> None:
        await overwrite(bench, f"{paths[0]}x", b"{}")

        assert await chain_problems(bench) == [f"{paths[0]}x: cannot be read as evidence"]

    async def test_what_came_before_the_day_that_is_asked_for_is_looked_at_where_it_is_named(
        self, bench: Bench, paths: list[str]
    ) -> None:
        today = (bench.clock.now - timedelta(hours=12)).date()
        boundary = next(number for number, path in enumerate(paths) if path.startswith(f"date={today}"))
        assert await chain_problems(bench, since=today) == []

        await overwrite(bench, paths[boundary - 1], b"{}")

        assert len(await chain_problems(bench, since=today)) == 1

    async def test_the_command_prints_a_line_a_problem_and_a_summary(
        self, bench: Bench, paths: list[str], environ: dict[str, str]
    ) -> None:
        assert await verified(environ) == (0, ["4 pieces of evidence in 1 chains, 0 problems"])

        await bench.services.storage.delete(Container.EVIDENCE, paths[1])

        status, lines = await verified(environ)
        assert (status, lines) == (
            1,
            [f"{paths[1]}: is missing; {paths[2]} follows it", "3 pieces of evidence in 1 chains, 1 problems"],
        )

    async def test_without_settings_it_says_which_are_missing(self) -> None:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "shared.opus.verify"), stderr=asyncio.subprocess.PIPE, env={}
        )
        _, told = await process.communicate()

        assert process.returncode == 2
        assert b"AVEPOINT_CLIENT_ID" in told


async def verified(environ: dict[str, str]) -> tuple[int | None, list[str]]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "shared.opus.verify", "--caller", "key"),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, **environ},
    )
    told, _ = await process.communicate()
    return process.returncode, told.decode().splitlines()


async def overwrite(bench: Bench, path: str, data: bytes) -> None:
    await bench.services.storage.delete(Container.EVIDENCE, path)
    await bench.services.storage.create(Container.EVIDENCE, path, data)


async def test_an_executor_that_was_overtaken_while_finishing_makes_no_second_link(bench: Bench) -> None:
    operation = (await bench.submit(records(1))).operation
    storage = bench.services.storage
    ledger = Ledger(storage)
    opening = await ledger.opening(operation.operation_id)
    assert opening is not None
    archive = Archive(storage, ledger, sleep=bench.clock.sleep, random=lambda: 0.5)
    await bench.submit(records(1), key="another")

    await archive.keep(Subject.operation(opening.order), lambda link: link)

    stored = await storage.read(Container.OPERATIONS, head_path("key"))
    assert stored is not None
    assert Head.from_json(stored.data).link.sequence == 2
    assert await chain_problems(bench) == []
    assert isinstance(Head.from_json(stored.data).link.previous, Previous)
