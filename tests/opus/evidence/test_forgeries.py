"""What somebody changes in stored evidence is found."""

from hashlib import sha256

import pytest

from shared.azure.storage import Container
from shared.errors import DamagedDocument
from shared.opus.evidence.archive import head_path
from shared.opus.evidence.documents import Evidence, Head, Link, Previous, ResolutionEvidence
from shared.opus.ledger.documents import Cancellation
from tests.opus.conftest import CONNECTION, Bench, Reopen, call, ids, records
from tests.opus.evidence.chains import (
    SAID,
    chain_anew,
    chain_problems,
    edit,
    forge_last,
    four_pieces,
    overwrite,
    raw,
    turn_head,
)
from tests.opus.operations.test_destroy import LOST_BEFORE_EXECUTION


class TestForgeries:
    """Whoever knows how pieces are made, and can write everywhere, leaves something that does not fit.

    Each forgery takes one more thing into account; what is left in the end is the anchor, outside of the account.
    """

    @pytest.fixture
    async def paths(self, bench: Bench) -> list[str]:
        """The evidence of four operations, in order."""
        return await four_pieces(bench, minutes=1)

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
