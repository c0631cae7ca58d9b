"""Small function apps, a real Azurite, and a record that functions write and tests read."""

import json
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sandbox.azurite import Azurite, azurite
from tests.waiting import until

PRELUDE = """
import asyncio, json, os, threading, time
import azure.functions as func

app = func.FunctionApp()

def record(**fields):
    with open(os.environ["RECORD"], "a") as file:
        file.write(json.dumps(fields, default=str) + "\\n")
"""


@dataclass(frozen=True, slots=True)
class App:
    """A function app in a directory of its own."""

    path: Path

    @property
    def log(self) -> Path:
        return self.path / "host.log"

    def environment(self, **settings: str) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "RECORD": str(self.path / "record"),
            "SANDBOX_FUNCTION_KEY": "k",
            **settings,
        }

    def records(self, **wanted: object) -> list[dict[str, Any]]:
        """What the functions recorded with these values, oldest first."""
        file = self.path / "record"
        entries = map(json.loads, file.read_text().splitlines()) if file.exists() else ()
        return [entry for entry in entries if wanted.items() <= entry.items()]

    async def recorded(self, count: int = 1, **wanted: object) -> list[dict[str, Any]]:
        """Wait until so many records are there."""
        await until(lambda: len(self.records(**wanted)) >= count)
        return self.records(**wanted)


def write_app(path: Path, source: str, host_json: dict[str, object] | None = None) -> App:
    (path / "host.json").write_text(json.dumps({"version": "2.0", **(host_json or {})}))
    (path / "function_app.py").write_text(PRELUDE + source)
    return App(path)


@pytest.fixture(scope="session")
async def storage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Azurite]:
    async with azurite(tmp_path_factory.mktemp("azurite") / "azurite.log") as running:
        yield running
