"""Evidence is chained, whoever finishes when, and whoever is stopped where; what is tampered with is found."""

import asyncio
import json
import logging
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from shared.azure.storage import Container, Storage
from shared.errors import DamagedDocument
from shared.opus.evidence.archive import Archive, head_path
from shared.opus.evidence.documents import Evidence, Head, Link, Previous, ResolutionEvidence
from shared.opus.evidence.findings import declarations, problems
from shared.opus.intake.inputs import ResolveInput
from shared.opus.ledger.documents import Cancellation
from shared.opus.ledger.store import OperationStore
from shared.opus.verify import gather_evidence, main, read_anchor
from tests.opus.conftest import CONNECTION, Bench, Reopen, call, ids, records
from tests.opus.operations.test_destroy import LOST_BEFORE_EXECUTION
from tests.opus.world import Host, World

SAID = ResolveInput(outcome="Failed", note="Still in Opus.", checkedBy="Jane")


async def chain_problems(bench: Bench, **asked: object) -> list[str]:
    seen = await gather_evidence(bench.services.storage, today=bench.clock.now.date(), **asked)  # type: ignore[arg-type]
    return list(problems(seen))


async def declared(bench: Bench) -> list[str]:
    return list(declarations(await gather_evidence(bench.services.storage, today=bench.clock.now.date())))


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
    monkeypatch.setattr("shared.opus.evidence.archive._Memory.turn", lambda *_: asyncio.Lock())

    await asyncio.gather(*(bench.submit(records(1), key=str(number)) for number in range(6)))

    assert [one.chain.sequence for one in await chain(bench)] == list(range(1, 7))
    assert await chain_problems(bench) == []


@dataclass
class Stopped(BaseException):
    """The process is gone."""


@pytest.fixture
def stop_before(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Let the process die before the next write of a path that holds a text."""
    write = bench.services.storage.write
    doomed: list[str] = []

    async def dying(container: Container, path: str, data: bytes, *, etag: str | None) -> str:
        if doomed and doomed[0] in path:
            doomed.clear()
            raise Stopped
        return await write(container, path, data, etag=etag)

    monkeypatch.setattr(bench.services.storage, "write", dying)
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
    bench: Bench, stop_before: Callable[[str], None], where: str, caplog: pytest.LogCaptureFixture
) -> None:
    stop_before(where)
    with pytest.raises(Stopped):
        await bench.submit(records(2), key="dead")
    waiting = await bench.submit(records(2), key="dead")
    bench.clock.advance(seconds=90)

    with caplog.at_level(logging.INFO):
        operation = (await bench.finish(waiting.operation.operation_id)).operation

    told = f"operation.finished operation={operation.operation_id} kind=submit status=Succeeded requested=2 succeeded=2"
    assert caplog.text.count(told) == 1
    assert (operation.status, len(bench.calls())) == ("Succeeded", 1)
    assert [one.chain.sequence for one in await chain(bench)] == [1]
    assert await chain_problems(bench) == []
    assert not [path for path in await bench.paths() if path.startswith("open/")]


async def test_the_end_is_told_before_the_mark_of_an_open_operation_goes(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def dying(*_: object) -> None:
        raise Stopped

    monkeypatch.setattr(bench.services.storage, "delete", dying)
    with caplog.at_level(logging.INFO), pytest.raises(Stopped):
        await bench.submit(records(2), key="dead")
    assert "operation.finished" in caplog.text


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


def told_resolved(caplog: pytest.LogCaptureFixture) -> list[tuple[object, ...]]:
    """What the log tells of what people have said: of which operation, its kind, the outcome, and how many items."""
    told = [vars(record) for record in caplog.records if record.message.startswith("operation.resolved")]
    return [tuple(one[name] for name in ("operation", "kind", "outcome", "items")) for one in told]


async def test_a_resolution_is_told_once(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    keys = await bench.fill(2)
    bench.fault(**LOST_BEFORE_EXECUTION)
    operation_id = (await bench.destroy(ids(keys))).operation.operation_id
    caplog.set_level(logging.INFO)
    first, second = (SAID.model_copy(update={"ids": [key]}) for key in keys)

    for said in (first, first, second):
        await bench.operations.resolve(operation_id, call(None), said)

    assert told_resolved(caplog) == [(operation_id, "destroy", "Failed", 1)] * 2


async def test_a_resolution_that_was_cut_off_is_completed_by_the_queue(
    bench: Bench, stop_before: Callable[[str], None], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    keys = await bench.fill(1)
    bench.fault(**LOST_BEFORE_EXECUTION)
    operation_id = (await bench.destroy(ids(keys))).operation.operation_id
    stop_before("resolution-000")
    with pytest.raises(Stopped):
        await bench.operations.resolve(operation_id, call(None), SAID)

    await bench.operations.run(operation_id)

    assert len(await bench.paths(Container.EVIDENCE)) == 3
    assert (operation_id, "destroy", "Failed", 1) in told_resolved(caplog)
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

        assert await chain_problems(bench) == [
            f"{paths[1]}: cannot be read as evidence, or was changed",
            f"{paths[1]}: is missing; {paths[2]} follows it",
        ]

    @pytest.mark.parametrize("number", [0, 1, 2])
    async def test_what_was_deleted(self, bench: Bench, paths: list[str], number: int) -> None:
        await bench.services.storage.delete(Container.EVIDENCE, paths[number])

        assert await chain_problems(bench) == [
            f"{paths[number]}: is missing; {paths[number + 1]} follows it",
            f"{paths[number]}: is missing; the ledger knows its operation as finished",
        ]

    async def test_what_was_deleted_at_the_end(self, bench: Bench, paths: list[str]) -> None:
        await bench.services.storage.delete(Container.EVIDENCE, paths[3])

        end, ledger = await chain_problems(bench)

        assert end.startswith(f"{paths[3]}: is missing at the end of the chain of key")
        assert ledger == f"{paths[3]}: is missing; the ledger knows its operation as finished"

    async def test_what_was_put_in(self, bench: Bench, paths: list[str]) -> None:
        forged = paths[2].replace(".json", "f.json")
        await overwrite(bench, forged, await raw(bench.services.storage, paths[2]))

        assert await chain_problems(bench) == [
            f"{forged}: is link 3 of key, and so is {paths[2]}",
            f"{forged}: the ledger knows no such operation",
        ]

    async def test_what_is_none(self, bench: Bench, paths: list[str]) -> None:
        await overwrite(bench, f"{paths[0]}x", b"{}")

        assert await chain_problems(bench) == [f"{paths[0]}x: cannot be read as evidence, or was changed"]

    async def test_what_came_before_the_day_that_is_asked_for_is_looked_at_where_it_is_named(
        self, bench: Bench, paths: list[str]
    ) -> None:
        today = (bench.clock.now - timedelta(hours=12)).date()
        boundary = next(number for number, path in enumerate(paths) if path.startswith(f"date={today}"))
        assert await chain_problems(bench, since=today) == []

        await overwrite(bench, paths[boundary - 1], b"{}")

        assert await chain_problems(bench, since=today) == [
            f"{paths[boundary - 1]}: is missing; {paths[boundary]} follows it"
        ]

    async def test_the_command_prints_a_line_a_problem_and_a_summary(
        self, bench: Bench, paths: list[str], environ: dict[str, str]
    ) -> None:
        assert await verified(environ) == (0, ["4 pieces of evidence in 1 chains, 0 problems"])

        await bench.services.storage.delete(Container.EVIDENCE, paths[1])

        status, lines = await verified(environ)
        assert (status, lines) == (
            1,
            [
                f"{paths[1]}: is missing; {paths[2]} follows it",
                f"{paths[1]}: is missing; the ledger knows its operation as finished",
                "3 pieces of evidence in 1 chains, 2 problems",
            ],
        )

    @pytest.mark.usefixtures("paths")
    async def test_an_empty_anchor_proves_nothing(self, environ: dict[str, str], tmp_path: Path) -> None:
        (tmp_path / "anchors.ndjson").touch()

        assert await verified(environ, "--anchor", str(tmp_path / "anchors.ndjson")) == (2, [])

    async def test_without_settings_it_says_which_are_missing(self) -> None:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "shared.opus.verify"), stderr=asyncio.subprocess.PIPE, env={}
        )
        _, told = await process.communicate()

        assert process.returncode == 2
        assert b"INVENTORY_STORAGE" in told
        assert b"AVEPOINT" not in told


async def verified(environ: dict[str, str], *options: str) -> tuple[int | None, list[str]]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "shared.opus.verify", *(options or ("--caller", "key"))),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "INVENTORY_STORAGE": environ["INVENTORY_STORAGE"]},
    )
    told, _ = await process.communicate()
    return process.returncode, told.decode().splitlines()


async def overwrite(bench: Bench, path: str, data: bytes) -> None:
    await bench.services.storage.delete(Container.EVIDENCE, path)
    await bench.services.storage.write(Container.EVIDENCE, path, data, etag=None)


async def test_an_executor_that_was_overtaken_while_finishing_makes_no_second_link(bench: Bench) -> None:
    operation = (await bench.submit(records(1))).operation
    storage = bench.services.storage
    store = OperationStore(storage)
    opening = await store.opening(operation.operation_id)
    assert opening is not None
    archive = Archive(store, clock=bench.clock, sleep=bench.clock.sleep, random=lambda: 0.5)
    await bench.submit(records(1), key="another")

    outcomes = await store.outcomes(operation.operation_id, opening.state)
    await archive.keep_operation(opening.order, list(outcomes.values()))

    stored = await storage.read(Container.OPERATIONS, head_path("key"))
    assert stored is not None
    assert Head.from_json(stored.data).link.sequence == 2
    assert await chain_problems(bench) == []
    assert isinstance(Head.from_json(stored.data).link.previous, Previous)


class TestForgeries:
    """Whoever knows how pieces are made, and can write everywhere, leaves something that does not fit.

    Each forgery takes one more thing into account; what is left in the end is the anchor, outside of the account.
    """

    @pytest.fixture
    async def paths(self, bench: Bench) -> list[str]:
        """The evidence of four operations, in order."""
        for number in range(4):
            await bench.submit(records(1), key=str(number))
            bench.clock.advance(minutes=1)
        pieces = await chain(bench)
        return [f"date={one.order.created_at:%Y-%m-%d}/{one.order.operation_id}.json" for one in pieces]

    async def test_the_newest_piece_edited_with_its_own_hash(self, bench: Bench, paths: list[str]) -> None:
        await edit(bench, paths[3])

        assert await chain_problems(bench) == [
            f"{paths[3]}: is not what it was when the head of the chain of key was written",
            f"{paths[3]}: is not what the ledger knows of its operation",
        ]

    async def test_the_newest_piece_edited_with_its_own_hash_and_the_head(self, bench: Bench, paths: list[str]) -> None:
        await turn_head(bench, sha256=sha256(await edit(bench, paths[3])).hexdigest())

        assert await chain_problems(bench) == [f"{paths[3]}: is not what the ledger knows of its operation"]

    @pytest.mark.parametrize("what", ["order", "batches"])
    async def test_what_was_asked_or_answered_edited_and_the_head(
        self, bench: Bench, paths: list[str], what: str
    ) -> None:
        piece = Evidence.from_json(await raw(bench.services.storage, paths[3]))
        order = piece.order.model_copy(update={"client": {"idempotency-key": "of somebody else"}})
        batches = (piece.batches[0].model_copy(update={"answer": "Well done."}),)
        forged = piece.model_copy(update={what: order if what == "order" else batches}).sealed()
        await overwrite(bench, paths[3], forged)
        await turn_head(bench, sha256=sha256(forged).hexdigest())

        assert await chain_problems(bench) == [f"{paths[3]}: is not what the ledger knows of its operation"]

    @pytest.mark.parametrize("times", [0, 2])
    async def test_an_answer_left_out_or_told_twice_and_the_head(
        self, bench: Bench, paths: list[str], times: int
    ) -> None:
        piece = Evidence.from_json(await raw(bench.services.storage, paths[3]))
        await forge_last(bench, paths[3], piece.model_copy(update={"batches": piece.batches * times}))

        assert await chain_problems(bench) == [f"{paths[3]}: is not what the ledger knows of its operation"]

    @pytest.mark.parametrize("what", ["edited", "left out"])
    async def test_who_ended_an_operation_forged_and_the_head(self, reopen: Reopen, what: str) -> None:
        bench = reopen(opus_sync_seconds=0)
        operation = (await bench.submit(records(1))).operation
        await bench.operations.cancel(operation.operation_id, call(None))
        path = f"date={operation.created_at:%Y-%m-%d}/{operation.operation_id}.json"
        piece = Evidence.from_json(await raw(bench.services.storage, path))
        assert piece.cancellation is not None
        assert await chain_problems(bench) == []
        somebody = piece.cancellation.model_copy(update={"caller": "entra:somebody"})
        await forge_last(bench, path, piece.model_copy(update={"cancellation": somebody if what == "edited" else None}))

        assert await chain_problems(bench) == [f"{path}: is not what the ledger knows of its operation"]

    async def test_an_end_that_nobody_asked_for_and_the_head(self, bench: Bench, paths: list[str]) -> None:
        piece = Evidence.from_json(await raw(bench.services.storage, paths[3]))
        ended = Cancellation(caller="entra:somebody", client={}, at=piece.order.created_at)
        await forge_last(bench, paths[3], piece.model_copy(update={"cancellation": ended}))

        assert await chain_problems(bench) == [f"{paths[3]}: is not what the ledger knows of its operation"]

    async def test_a_piece_moved_into_the_chain_of_somebody_else_with_both_heads(
        self, bench: Bench, paths: list[str]
    ) -> None:
        third = await raw(bench.services.storage, paths[2])
        last = Evidence.from_json(await raw(bench.services.storage, paths[3]))
        await turn_head(bench, link=Evidence.from_json(third).chain, path=paths[2], sha256=sha256(third).hexdigest())
        link = Link(caller="entra:somebody", sequence=1, previous=None)
        forged = last.model_copy(update={"chain": link}).sealed()
        await overwrite(bench, paths[3], forged)
        head = Head(
            link=link,
            path=paths[3],
            operation_id=last.order.operation_id,
            sha256=sha256(forged).hexdigest(),
        )
        await bench.services.storage.write(Container.OPERATIONS, head_path("entra:somebody"), head.to_json(), etag=None)

        assert await chain_problems(bench) == [f"{paths[3]}: tells of another operation or caller than its place"]

    async def test_the_head_of_somebody_else_copied_over_a_head(self, bench: Bench, paths: list[str]) -> None:
        storage = bench.services.storage
        given = call("theirs")
        await bench.operations.submit(type(given)("entra:1", given.key, given.client), CONNECTION, records(1))
        theirs = await storage.read(Container.OPERATIONS, head_path("entra:1"))
        mine = await storage.read(Container.OPERATIONS, head_path("key"))
        assert theirs is not None
        assert mine is not None
        await storage.write(Container.OPERATIONS, head_path("key"), theirs.data, etag=mine.etag)

        with pytest.raises(DamagedDocument, match="belongs to the chain of entra:1"):
            await chain_problems(bench)
        with pytest.raises(DamagedDocument, match="belongs to the chain of entra:1"):
            await bench.destroy(ids(["a"]), key="next")
        assert len(paths) == 4
        assert bench.asked("DELETE") == 0

    async def test_a_piece_that_follows_one_of_another_chain_with_the_head(
        self, bench: Bench, paths: list[str]
    ) -> None:
        given = call("theirs")
        await bench.operations.submit(type(given)("entra:1", given.key, given.client), CONNECTION, records(1))
        (theirs,) = [one for one in await bench.evidence() if one.chain.caller == "entra:1"]
        place = f"date={theirs.order.created_at:%Y-%m-%d}/{theirs.order.operation_id}.json"
        link = Link(
            caller="key",
            sequence=2,
            previous=Previous(path=place, sha256=sha256(await raw(bench.services.storage, place)).hexdigest()),
        )
        last = Evidence.from_json(await raw(bench.services.storage, paths[3]))
        for path in paths[:3]:
            await bench.services.storage.delete(Container.EVIDENCE, path)
        await forge_last(bench, paths[3], last.model_copy(update={"chain": link}))
        await turn_head(bench, link=link)

        assert f"{paths[3]}: follows a piece of the chain of entra:1" in await chain_problems(bench)

    async def test_a_piece_renamed_to_a_day_that_the_ledger_has_forgotten_with_the_head(
        self, bench: Bench, paths: list[str]
    ) -> None:
        moved = f"date=2020-01-01/{paths[3].partition('/')[2]}"
        await bench.services.storage.write(
            Container.EVIDENCE, moved, await raw(bench.services.storage, paths[3]), etag=None
        )
        await bench.services.storage.delete(Container.EVIDENCE, paths[3])
        await turn_head(bench, path=moved)

        assert await chain_problems(bench) == [
            f"{moved}: tells of another operation or caller than its place",
            f"{paths[3]}: is missing; the ledger knows its operation as finished",
        ]

    async def test_the_newest_piece_emptied(self, bench: Bench, paths: list[str]) -> None:
        await overwrite(bench, paths[3], b"")

        assert f"{paths[3]}: cannot be read as evidence, or was changed" in await chain_problems(bench)

    async def test_the_newest_piece_deleted_and_the_head_turned_back(self, bench: Bench, paths: list[str]) -> None:
        await bench.services.storage.delete(Container.EVIDENCE, paths[3])
        third = Evidence.from_json(await raw(bench.services.storage, paths[2]))
        digest = sha256(await raw(bench.services.storage, paths[2])).hexdigest()
        await turn_head(bench, link=third.chain, path=paths[2], sha256=digest)

        assert await chain_problems(bench) == [f"{paths[3]}: is missing; the ledger knows its operation as finished"]

    async def test_everything_deleted_with_its_head(self, bench: Bench, paths: list[str]) -> None:
        for path in paths:
            await bench.services.storage.delete(Container.EVIDENCE, path)
        await bench.services.storage.delete(Container.OPERATIONS, head_path("key"))

        assert len(await chain_problems(bench)) == 4

    async def test_one_left_out_and_the_rest_chained_anew(self, bench: Bench, paths: list[str]) -> None:
        await bench.services.storage.delete(Container.EVIDENCE, paths[1])
        await chain_anew(bench, [paths[0], paths[2], paths[3]])

        assert await chain_problems(bench) == [f"{paths[1]}: is missing; the ledger knows its operation as finished"]

    async def test_a_link_deleted_and_its_successor_rewritten_to_skip_it(self, bench: Bench, paths: list[str]) -> None:
        await bench.services.storage.delete(Container.EVIDENCE, paths[2])
        first = Previous(path=paths[1], sha256=sha256(await raw(bench.services.storage, paths[1])).hexdigest())
        piece = Evidence.from_json(await raw(bench.services.storage, paths[3]))
        skipping = piece.model_copy(update={"chain": piece.chain.model_copy(update={"previous": first})})
        await overwrite(bench, paths[3], skipping.sealed())

        assert f"{paths[3]}: is link 4 and follows link 2" in await chain_problems(bench)

    async def test_a_forged_piece_with_a_head(self, bench: Bench, paths: list[str]) -> None:
        last = Evidence.from_json(await raw(bench.services.storage, paths[3]))
        before = Previous(path=paths[3], sha256=sha256(await raw(bench.services.storage, paths[3])).hexdigest())
        link = Link(caller="key", sequence=5, previous=before)
        order = last.order.model_copy(update={"operation_id": "f" * 32})
        forged = last.model_copy(update={"chain": link, "order": order})
        path = f"date={order.created_at:%Y-%m-%d}/{'f' * 32}.json"
        await bench.services.storage.write(Container.EVIDENCE, path, forged.sealed(), etag=None)
        await turn_head(bench, link=link, path=path, sha256=sha256(forged.sealed()).hexdigest())

        assert await chain_problems(bench) == [f"{path}: the ledger knows no such operation"]

    async def test_everything_gone_with_its_ledger_is_found_by_the_anchor_alone(
        self, bench: Bench, paths: list[str]
    ) -> None:
        anchor = {path: frozenset({sha256(await raw(bench.services.storage, path)).hexdigest()}) for path in paths}
        assert await chain_problems(bench, anchor=anchor) == []
        for container in (Container.EVIDENCE, Container.OPERATIONS):
            for path in await bench.paths(container):
                await bench.services.storage.delete(container, path)

        assert await chain_problems(bench) == []
        assert await chain_problems(bench, anchor=anchor) == [
            f"{path}: is missing, and was written according to the anchor" for path in sorted(paths)
        ]

    async def test_what_stands_between_anchored_pieces_and_is_not_anchored(
        self, bench: Bench, paths: list[str]
    ) -> None:
        anchor = {
            path: frozenset({sha256(await raw(bench.services.storage, path)).hexdigest()})
            for path in (paths[0], paths[3])
        }

        assert await chain_problems(bench, anchor=anchor) == [
            f"{path}: is not in the anchor, and pieces before and after it are" for path in paths[1:3]
        ]


class TestForgedResolutions:
    """What a person said has evidence too, and nobody can change, add or take away a word of it."""

    @pytest.fixture
    async def path(self, bench: Bench) -> str:
        """The evidence of a resolution, which is the newest piece."""
        keys = await bench.fill(1)
        bench.fault(**LOST_BEFORE_EXECUTION)
        operation = (await bench.destroy(ids(keys))).operation
        await bench.operations.resolve(operation.operation_id, call(None), SAID)
        return f"date={operation.created_at:%Y-%m-%d}/{operation.operation_id}-resolution-000.json"

    async def test_edited_with_its_own_hash_and_the_head(self, bench: Bench, path: str) -> None:
        said = await self.said(bench, path)
        other = said.resolution.model_copy(update={"outcome": "Succeeded"})
        forged = said.model_copy(update={"resolution": other}).sealed()
        await overwrite(bench, path, forged)
        await turn_head(bench, sha256=sha256(forged).hexdigest())

        assert await chain_problems(bench) == [f"{path}: is not what the ledger knows that was said"]
        assert await chain_problems(bench, caller="nobody") == []

    async def test_deleted_and_the_head_turned_back(self, bench: Bench, path: str) -> None:
        before = (await self.said(bench, path)).chain.previous
        assert before is not None
        await bench.services.storage.delete(Container.EVIDENCE, path)
        piece = Evidence.from_json(await raw(bench.services.storage, before.path))
        await turn_head(bench, link=piece.chain, path=before.path, sha256=before.sha256)

        assert await chain_problems(bench) == [f"{path}: is missing; the ledger knows what was said"]

    async def test_put_in_with_a_head(self, bench: Bench, path: str) -> None:
        said = await self.said(bench, path)
        before = Previous(path=path, sha256=sha256(await raw(bench.services.storage, path)).hexdigest())
        link = Link(caller="key", sequence=said.chain.sequence + 1, previous=before)
        forged, other = said.model_copy(update={"chain": link}).sealed(), path.replace("-000", "-001")
        await bench.services.storage.write(Container.EVIDENCE, other, forged, etag=None)
        await turn_head(bench, link=link, path=other, sha256=sha256(forged).hexdigest())

        assert await chain_problems(bench) == [f"{other}: the ledger does not know that this was said"]

    async def said(self, bench: Bench, path: str) -> ResolutionEvidence:
        return ResolutionEvidence.from_json(await raw(bench.services.storage, path))


@pytest.mark.parametrize(
    "log",
    [
        '{"path": "date=2026-01-01/a.json", "sha256": "%s"}',
        "2026-01-01T00:00:00Z INFO evidence.written operation=a path=date=2026-01-01/a.json sha256=%s",
        '{"event": "evidence.written", "path": "date=2026-01-01/a.json", "sha256": "%s"}',
    ],
)
def test_an_anchor_is_a_list_or_the_log_itself(log: str) -> None:
    digest = "0a" * 32

    assert read_anchor(f"something else\n{log % digest}\n") == {"date=2026-01-01/a.json": frozenset({digest})}


def test_an_anchor_of_all_chains_is_not_held_against_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--caller", "key", "--anchor", "anchors.ndjson"])

    assert ended.value.code == 2
    assert "--caller" in capsys.readouterr().err


async def test_each_piece_is_told_outside_of_the_account(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    for key in "ab":
        await bench.submit(records(1), key=key)

    anchor = read_anchor("\n".join(record.getMessage() for record in caplog.records))

    paths = await bench.paths(Container.EVIDENCE)
    assert anchor == {path: frozenset({sha256(await raw(bench.services.storage, path)).hexdigest()}) for path in paths}


class TestRestored:
    """Storage that went back in time, or lost a piece, ends nothing, and is told once."""

    async def test_a_piece_that_cannot_be_written_any_more_is_a_declared_gap(self, bench: Bench) -> None:
        lost = (await bench.submit(records(1), key="a")).operation
        await forget_everything(bench, lost.operation_id)

        for key in "bc":
            assert (await bench.submit(records(1), key=key)).operation.status == "Succeeded"

        path = f"date={lost.created_at:%Y-%m-%d}/{lost.operation_id}.json"
        pieces = await chain(bench)
        assert [one.chain.sequence for one in pieces] == [2, 3]
        by = f"date={pieces[0].order.created_at:%Y-%m-%d}/{pieces[0].order.operation_id}.json"
        assert await declared(bench) == [f"{path}: gap at link 1 of key, declared by {by}"]
        assert await chain_problems(bench) == []
        digest = frozenset({"0" * 64})
        assert len(await chain_problems(bench, anchor={path: digest})) == 1, "an anchor knows better"

    async def test_after_a_restore_the_same_call_is_answered_from_evidence(
        self, bench: Bench, caplog: pytest.LogCaptureFixture
    ) -> None:
        keys = await bench.fill(1)
        backup = await contents(bench, Container.OPERATIONS)
        first = await bench.destroy(ids(keys), key="destroy")
        await restore(bench, Container.OPERATIONS, backup)
        bench.clock.advance(days=1)

        again = await bench.destroy(ids(keys), key="destroy")

        assert (again.operation, again.replayed) == (first.operation, True)
        assert bench.asked("DELETE") == 1
        assert f"operation.restored operation={first.operation.operation_id}" in caplog.text
        await bench.submit(records(1), key="next")
        assert await chain_problems(bench) == []

    async def test_what_a_person_said_is_told_from_evidence_too(self) -> None:
        world = World()
        host = Host(world, world.mine)
        before = world.backup(Container.OPERATIONS)
        world.mine.moods = ["lost"]
        lost = (await host.destroy("lost", ["x1", "x2"])).operation.operation_id
        for outcome, key in (("Succeeded", "x1"), ("Failed", "x2")):
            body = {"outcome": outcome, "ids": [key], "note": "seen", "checkedBy": "Ann"}
            resolved = await host.operations.resolve(lost, call(None), ResolveInput.model_validate(body))
        world.restore(Container.OPERATIONS, before)

        again = await host.destroy("lost", ["x1", "x2"])

        assert (again.operation, again.replayed) == (resolved, True)
        assert (await host.operations.uncertain()).operations == ()
        await host.submit("next", ["s1"])
        assert await world.problems() == []

    async def test_what_was_taken_up_again_is_told_from_its_last_evidence(self) -> None:
        world = World()
        host = Host(world, world.mine, patience=timedelta(seconds=1))
        before = world.backup(Container.OPERATIONS)
        world.mine.moods = ["unheard", "unheard"]
        operation_id = (await host.submit("key", ["a"])).operation.operation_id
        await world.finish(host, operation_id)
        second = await host.submit("key", ["a"])
        assert second.operation.status == "Succeeded"
        sent = len(world.mine.log)
        world.restore(Container.OPERATIONS, before)

        again = await host.submit("key", ["a"])

        assert (again.operation, again.replayed, len(world.mine.log)) == (second.operation, True, sent)
        await host.submit("next", ["s1"])
        assert await world.problems() == []

    async def test_an_operation_that_was_restored_to_its_middle_ends_by_its_evidence(self, reopen: Reopen) -> None:
        bench = reopen(opus_sync_seconds=0)
        keys = [record.row_key for record in records(3).records]
        begun = await bench.destroy(ids(keys), key="destroy")
        backup = await contents(bench, Container.OPERATIONS)
        first = await bench.finish(begun.operation.operation_id)
        await restore(bench, Container.OPERATIONS, backup)

        again = await bench.finish(begun.operation.operation_id)

        assert again.operation == first.operation
        assert bench.asked("DELETE") == 1
        await bench.finish((await bench.submit(records(1), key="next")).operation.operation_id)
        assert await chain_problems(bench) == []

    async def test_pieces_that_storage_has_forgotten_are_declared_once(self, bench: Bench) -> None:
        await bench.submit(records(1), key="a")
        backup = await contents(bench, Container.OPERATIONS)
        for key in "bc":
            await bench.submit(records(1), key=key)
        await restore(bench, Container.OPERATIONS, backup)

        for key in "de":
            bench.clock.advance(seconds=1)
            await bench.submit(records(1), key=key)

        assert [one.chain.sequence for one in await chain(bench)] == [1, 2, 3, 4, 5]
        assert [line.partition(": ")[2].partition(",")[0] for line in await declared(bench)] == [
            "restored at link 2 to 3 of key"
        ]
        assert await chain_problems(bench) == []


async def contents(bench: Bench, container: Container) -> dict[str, bytes]:
    storage = bench.services.storage
    read = {path: await storage.read(container, path) for path in await bench.paths(container)}
    return {path: stored.data for path, stored in read.items() if stored}


async def restore(bench: Bench, container: Container, backup: dict[str, bytes]) -> None:
    """Bring a container back to what it was."""
    for path in await bench.paths(container):
        await bench.services.storage.delete(container, path)
    for path, data in backup.items():
        await bench.services.storage.write(container, path, data, etag=None)


async def forget_everything(bench: Bench, operation_id: str) -> None:
    """Lose all that tells of an operation, but for the head of its chain."""
    for container in (Container.EVIDENCE, Container.OPERATIONS):
        for path in await bench.paths(container):
            if operation_id in path:
                await bench.services.storage.delete(container, path)


async def edit(bench: Bench, path: str) -> bytes:
    """Change what a piece says, with a hash of its own that fits."""
    piece = Evidence.from_json(await raw(bench.services.storage, path))
    changed = piece.model_copy(update={"operation": piece.operation.model_copy(update={"succeeded": 7})}).sealed()
    await overwrite(bench, path, changed)
    return changed


async def forge_last(bench: Bench, path: str, forged: Evidence) -> None:
    """Put a piece with a hash of its own in place of the last one of the chain, and turn the head to it."""
    await overwrite(bench, path, forged.sealed())
    await turn_head(bench, sha256=sha256(forged.sealed()).hexdigest())


async def turn_head(bench: Bench, **changes: object) -> None:
    storage = bench.services.storage
    stored = await storage.read(Container.OPERATIONS, head_path("key"))
    assert stored is not None
    turned = Head.from_json(stored.data).model_copy(update=changes)
    await storage.write(Container.OPERATIONS, head_path("key"), turned.to_json(), etag=stored.etag)


async def chain_anew(bench: Bench, paths: list[str]) -> None:
    """Make a whole chain of some pieces."""
    previous: Previous | None = None
    for number, path in enumerate(paths, 1):
        piece = Evidence.from_json(await raw(bench.services.storage, path))
        link = Link(caller="key", sequence=number, previous=previous)
        data = piece.model_copy(update={"chain": link}).sealed()
        await overwrite(bench, path, data)
        previous = Previous(path=path, sha256=sha256(data).hexdigest())
        await turn_head(bench, link=link, path=path, sha256=previous.sha256)
