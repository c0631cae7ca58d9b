"""A chain goes on after a restore, and says so."""

from datetime import timedelta

import pytest

from shared.azure.storage import Container
from shared.opus.intake.inputs import ResolveInput
from tests.opus.conftest import Bench, Reopen, call, ids, records
from tests.opus.evidence.chains import chain, chain_problems, contents, declared, forget_everything, restore
from tests.opus.world import Host, World


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
