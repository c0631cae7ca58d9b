"""The smoke check after a deployment sees what is missing, and whether the app is well."""

import subprocess
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import override

import pytest

from sandbox.processes import ROOT

INFRA = ROOT / "infra"
EXPECTED = (INFRA / "functions.txt").read_text().split()


class Health(BaseHTTPRequestHandler):
    status = HTTPStatus.OK

    def do_GET(self) -> None:
        self.send_response(self.status if self.path == "/api/health" else HTTPStatus.NOT_FOUND)
        self.end_headers()

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""


@pytest.fixture
def site(request: pytest.FixtureRequest) -> Iterator[str]:
    handler = type("Answering", (Health,), {"status": getattr(request, "param", HTTPStatus.OK)})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def smoke(folder: Path, site: str, functions: list[str]) -> subprocess.CompletedProcess[str]:
    """Run the check with an ``az`` that lists these functions."""
    az = folder / "az"
    az.write_text("#!/bin/sh\n" + "".join(f"echo app/{name}\n" for name in functions))
    az.chmod(0o755)
    return subprocess.run(  # noqa: S603 - our own script
        [INFRA / "smoke.sh", "rg", "app", site],
        env={"PATH": f"{folder}:/usr/bin:/bin", "SMOKE_ATTEMPTS": "2", "SMOKE_PAUSE": "0"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_list_is_what_the_app_has(routes: dict[str, str | None]) -> None:
    assert sorted(routes) == EXPECTED, "write the names into infra/functions.txt"


def test_a_whole_and_well_app_passes(tmp_path: Path, site: str) -> None:
    done = smoke(tmp_path, site, EXPECTED[::-1])
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == f"All {len(EXPECTED)} functions are there, and the app is well."


def test_a_missing_function_fails_by_name(tmp_path: Path, site: str) -> None:
    done = smoke(tmp_path, site, [name for name in EXPECTED if name != "sweep"])
    assert done.returncode == 1
    assert done.stdout == "missing: sweep\n"


def test_so_does_one_that_nobody_expects(tmp_path: Path, site: str) -> None:
    done = smoke(tmp_path, site, [*EXPECTED, "stray"])
    assert done.returncode == 1
    assert done.stdout == "unexpected: stray\n"


@pytest.mark.parametrize("site", [HTTPStatus.SERVICE_UNAVAILABLE], indirect=True)
def test_so_does_an_app_that_is_not_well(tmp_path: Path, site: str) -> None:
    done = smoke(tmp_path, site, EXPECTED)
    assert done.returncode == 1
    assert done.stdout == f"health: the app is not well; with the function key, {site}/api/health/details says why\n"


@pytest.mark.parametrize("site", [HTTPStatus.FORBIDDEN], indirect=True)
def test_so_does_one_that_does_not_let_this_machine_in(tmp_path: Path, site: str) -> None:
    done = smoke(tmp_path, site, EXPECTED)
    assert done.returncode == 1
    assert done.stdout.startswith(f"health: {site} does not let this machine in")
