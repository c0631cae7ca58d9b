"""What infra/ would deploy, as the committed snapshots have it."""

import runpy

import pytest

from sandbox.processes import ROOT
from tests.infra.environments import ENVIRONMENTS
from tests.infra.paths import SNAPSHOTS
from tests.infra.snapshot import Snapshot

SUFFIX = "7ulcqxxwesckw"
HOST, DATA, TABLES, VAULT = f"sthost{SUFFIX}", f"stdata{SUFFIX}", f"sttables{SUFFIX}", f"kv-{SUFFIX}"
NAME = f"test-{SUFFIX[:5]}"
SITE = f"func-{NAME}"
GROUP = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-test/providers"


@pytest.fixture(scope="session")
def public() -> Snapshot:
    """Little more than what has to be given."""
    return Snapshot.read(SNAPSHOTS / "public.json")


@pytest.fixture(scope="session")
def private() -> Snapshot:
    """Everything switched on, in a network of its own."""
    return Snapshot.read(SNAPSHOTS / "private.json")


@pytest.fixture(scope="session")
def landing_zone() -> Snapshot:
    """In a company's network, with its identity, workspace, names and tags, and no role assigned."""
    return Snapshot.read(SNAPSHOTS / "landing-zone.json")


@pytest.fixture(scope="session", params=ENVIRONMENTS)
def each(request: pytest.FixtureRequest) -> Snapshot:
    """What holds for all of them has to hold for each."""
    return Snapshot.read(SNAPSHOTS / f"{request.param}.json")


@pytest.fixture(scope="session")
def routes() -> dict[str, str | None]:
    """The functions of the app, with the routes of those that have one."""
    app = runpy.run_path(str(ROOT / "function_app.py"))["app"]  # an app tells its functions only once
    return {
        function.get_function_name(): getattr(function.get_trigger(), "route", None) for function in app.get_functions()
    }
