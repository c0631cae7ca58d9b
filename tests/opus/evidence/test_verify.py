"""The command that verifies evidence, and anchors outside of the account."""

import asyncio
import json
import os
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from shared.azure.storage import Container
from shared.opus.verify import main, read_anchor
from tests.opus.conftest import Bench
from tests.opus.evidence.chains import chain_problems, four_pieces, overwrite, raw


class TestVerify:
    """What somebody who can write to storage may do is found, as far as anything is left to find it by."""

    @pytest.fixture
    async def paths(self, bench: Bench) -> list[str]:
        """The evidence of four operations on two days, in order."""
        return await four_pieces(bench, hours=12)

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
