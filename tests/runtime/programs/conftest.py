"""An app of its own for each program, for a process remembers the tables of a storage that is emptied in between."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sandbox.azurite import Azurite
from sandbox.host.process import RunningHost, running_host
from shared.services import Services
from tests.conftest import Simulator, app_settings


@pytest.fixture
async def host(
    azurite: Azurite,
    avepoint: Simulator,
    services: Services,  # noqa: ARG001 - its storage is empty
    tmp_path: Path,
) -> AsyncIterator[RunningHost]:
    environ = {**os.environ, **app_settings(azurite, avepoint), "OPUS_DESTROY_ENABLED": "true"}
    async with running_host(log=tmp_path / "host.log", env=environ) as running:
        yield running
