"""Azure's own command line before a stand-in of Azure; its tests take their time."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.infra.azure.cli import CommandLine, installed
from tests.infra.azure.server import Standin, standin
from tests.infra.azure.subscription import settle


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
async def everything(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Standin]:
    async with standin(tmp_path_factory.mktemp("azure")) as azure:
        yield azure


@pytest.fixture(scope="session")
async def shell(everything: Standin, tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    return await CommandLine.signed_in(everything, installed(), tmp_path_factory.mktemp("az"))


@pytest.fixture
def quick(shell: CommandLine, tmp_path: Path) -> CommandLine:
    """The same without the pauses of ``az``, which waits a minute after each package that it sends."""
    (tmp_path / "sitecustomize.py").write_text("import time\ntime.sleep = lambda _: None\n")
    return CommandLine(shell.environ | {"PYTHONPATH": str(tmp_path), "UPLOAD_POLL": "0"})


@pytest.fixture
def azure(everything: Standin) -> Standin:
    """The one stand-in of all tests, with the app deployed and nothing wrong."""
    settle(everything.management)
    everything.services.clear()
    everything.management.actions.clear()
    everything.management.on_write = lambda _, body: body
    return everything
