"""``python -m sandbox local``: the app against settings of a file, with Azurite where that is missing."""

import asyncio
import json
import os
import re
import signal
import sys
from contextlib import closing
from pathlib import Path

import pytest

from sandbox.__main__ import main
from sandbox.azurite import ACCOUNT, KEY
from sandbox.local import AzuritePorts, azurite_ports
from sandbox.processes import ROOT, free_port, running
from sandbox.serving import listen
from sandbox.stack import app_settings
from tests.conftest import CLIENT, Simulator

SAMPLE = ROOT / "local.settings.sample.json"
WITHIN = 120.0


def storage(ports: AzuritePorts) -> str:
    return (
        f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};"
        f"BlobEndpoint=http://127.0.0.1:{ports.blob}/{ACCOUNT};QueueEndpoint=http://127.0.0.1:{ports.queue}/{ACCOUNT};"
    )


def written(file: Path, values: dict[str, str]) -> Path:
    file.write_text(json.dumps({"IsEncrypted": False, "Values": values}))
    return file


@pytest.mark.parametrize(
    ("connection_string", "ports"),
    [
        ("UseDevelopmentStorage=true", AzuritePorts(10000, 10001)),
        ("UseDevelopmentStorage=true;", AzuritePorts(10000, 10001)),
        (storage(AzuritePorts(1, 2)), AzuritePorts(1, 2)),
        ("DefaultEndpointsProtocol=https;AccountName=a;AccountKey=YQ==", None),
        ("", None),
    ],
)
def test_azurite_is_known_by_its_connection_string(connection_string: str, ports: AzuritePorts | None) -> None:
    assert azurite_ports(connection_string) == ports


async def refused(*options: str, tmp_path: Path) -> tuple[int, str]:
    """The exit status of a start that cannot be, and what it said."""
    command = (sys.executable, "-m", "sandbox", "local", *options)
    async with running(*command, log=tmp_path / "log", env={"PATH": os.environ["PATH"]}) as local:
        return await local.ended(within=WITHIN), local.output()


async def test_placeholders_are_refused_by_name(tmp_path: Path) -> None:
    status, said = await refused("--settings", str(SAMPLE), tmp_path=tmp_path)
    assert status == 2
    assert "AVEPOINT_CLIENT_ID still holds the placeholder" in said
    assert "AVEPOINT_CLIENT_SECRET still holds the placeholder" in said
    assert "starting" not in said


def test_settings_that_are_not_there_are_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["local", "--settings", str(tmp_path / "none.json")]) == 2
    assert "Copy local.settings.sample.json" in capsys.readouterr().err


async def test_a_taken_port_is_refused_before_anything_is_started(tmp_path: Path, environ: dict[str, str]) -> None:
    settings = written(tmp_path / "settings.json", environ)
    with closing(listen(0)) as listener:
        taken = listener.getsockname()[1]
        status, said = await refused("--settings", str(settings), "--port", str(taken), tmp_path=tmp_path)
    assert status == 1
    assert f"make local PORT={taken + 1}" in said
    assert "starting" not in said


@pytest.mark.slow
async def test_it_runs_the_app_and_starts_azurite_where_it_is_missing(tmp_path: Path, avepoint: Simulator) -> None:
    """The doctor finds nothing wrong, Core Tools would find the storage there, and what was stored stays."""
    ports = AzuritePorts(free_port(), free_port())
    values = app_settings(avepoint_url=avepoint.url, storage=storage(ports))
    values |= {"AzureWebJobsStorage": storage(ports), "AVEPOINT_CLIENT_SECRET": CLIENT.client_secret}
    settings = written(tmp_path / "settings.json", values)
    command = (sys.executable, "-m", "sandbox", "local", "--settings", str(settings), "--data", str(tmp_path / "data"))
    env = {**os.environ, "PYTHONUNBUFFERED": "1"}
    async with running(*command, "--storage-only", log=tmp_path / "storage", env=env) as azurite:
        await azurite.printed("^Ready. In a second terminal: func start$", within=WITHIN)
        async with running(*command, "--port", "0", log=tmp_path / "local", env=env) as local:
            await local.printed("^Azurite: it is running already", within=WITHIN)
            await local.printed("Ctrl-C here ends it", within=WITHIN)
            ((url, key),) = re.findall(r"^export APP=(\S+) KEY=(\S+)$", local.output(), re.MULTILINE)
            doctor = await asyncio.create_subprocess_exec(
                *(ROOT / "avepoint", "doctor", "--url", url),
                env={**os.environ, "APP_KEY": key},
                stdout=asyncio.subprocess.PIPE,
            )
            report, _ = await doctor.communicate()
            assert doctor.returncode == 0, report.decode()
            local.signal(signal.SIGINT)
            assert await local.ended(within=WITHIN) == 0
        azurite.signal(signal.SIGINT)
        assert await azurite.ended(within=WITHIN) == 0
    assert "Traceback" not in local.output() + azurite.output()
    assert any((tmp_path / "data" / "azurite").rglob("*"))
