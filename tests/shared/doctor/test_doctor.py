"""The doctor: each dependency broken in turn, the right line with the right remedy, and no secret shown."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from azure.storage.blob import AccountSasPermissions, ResourceTypes, generate_account_sas
from azure.storage.blob import Services as SasServices

from sandbox.avepoint import Credentials
from sandbox.azurite import ACCOUNT, KEY, Azurite
from sandbox.processes import ROOT, free_port
from sandbox.stack import app_settings
from sandbox.vault import Running, client_certificate
from shared.avepoint.platform import SOURCES
from shared.avepoint.request import Response
from shared.azure.storage import Container, Queue
from shared.doctor import RECHECKED_AFTER, Check, Report, examine
from shared.doctor import check as checking
from shared.doctor.__main__ import main
from shared.doctor.avepoint import clock_check
from shared.services import Services, open_services
from shared.settings import load_settings
from tests.conftest import CLIENT, Clock, Simulator
from tests.shared.conftest import SECRET_NAME, Open, check, examined, until_ok

pytestmark = pytest.mark.usefixtures("services")  # they begin with empty storage

SCOPE = "enpower.data.read.all"
TOKEN = f"token/avepoint/{SCOPE}"
OPUS_TOKEN = "token/opus/records.readwrite.all"
PAGE = "page/enpower"
POWERAPPS = "/smp/api/v1/powerplatform/powerapps"
ENVIRONMENTS = "/smp/powerplatform/environments"
RECORDS = "/records/connector/records"
ENPOWER_ALONE = {"HARVEST_ENPOWER_DATASETS": "powerapps", "HARVEST_GRAPH_DATASETS": "", "HARVEST_ELEMENTS_DATASETS": ""}


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what answers slowly on a busy machine answer all the same."""
    monkeypatch.setattr(checking, "PATIENCE_SECONDS", 300.0)


@pytest.fixture
def only_enpower(opening: Open) -> Open:
    async def opened(settings: Mapping[str, str] | None = None) -> Services:
        return await opening({**ENPOWER_ALONE, **(settings or {})})

    return opened


@dataclass(frozen=True)
class World:
    """What the app depends on, to be broken."""

    vault: Running
    avepoint: Simulator
    azurite: Azurite
    patch: pytest.MonkeyPatch


@pytest.fixture
def world(vaulted: Running, timed: Simulator, azurite: Azurite, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(vaulted, timed, azurite, monkeypatch)


type Break = Callable[[World], Mapping[str, str] | None]
"""Breaks a dependency; may answer with app settings."""


@dataclass(frozen=True)
class Case:
    """A dependency that is broken, the lines that say so, and what they say."""

    name: str
    broken: Break
    lines: set[str]
    message: str
    remedy: str
    status: str = "error"


def avepoint_fault(path: str, **rule: object) -> Break:
    def broken(world: World) -> None:
        world.avepoint.fault(path=path, times=None, **rule)

    return broken


def with_key(key: str) -> Break:
    def broken(world: World) -> Mapping[str, str]:
        return {"INVENTORY_STORAGE": world.azurite.connection_string.replace(KEY, key)}

    return broken


def read_only(world: World) -> Mapping[str, str]:
    """A shared access signature that may read and list alone."""
    sas = generate_account_sas(
        ACCOUNT,
        KEY,
        ResourceTypes(service=True, container=True, object=True),
        AccountSasPermissions(read=True, list=True),
        datetime.now(UTC) + timedelta(hours=1),
        services=SasServices(blob=True, queue=True),
    )
    endpoints = f"BlobEndpoint={world.azurite.blob_url};QueueEndpoint={world.azurite.queue_url}"
    return {"INVENTORY_STORAGE": f"{endpoints};SharedAccessSignature={sas}"}


def somebody_else(world: World) -> None:
    world.patch.setenv("AZURE_CLIENT_ID", "somebody-else")


def rotated(world: World) -> None:
    world.avepoint.avepoint.identity.credentials = Credentials(CLIENT.client_id, "rotated")


def nobody_listens(world: World) -> Mapping[str, str]:  # noqa: ARG001 - a Break
    return {"AVEPOINT_IDENTITY_URL": f"http://127.0.0.1:{free_port()}"}


NO_TOKEN = {TOKEN, OPUS_TOKEN, PAGE, "opus"}
NO_SECRET = {f"vault/{SECRET_NAME}"} | NO_TOKEN
CONTAINERS = {f"storage/{container}" for container in Container}
QUEUES = {f"queue/{queue}" for queue in Queue}
STORED = {"tables", "tables/files", "snapshots", "verify", "operations"}
POISON = {f"queue/{queue}-poison" for queue in Queue}
LEDGER = {PAGE, "opus"}

CASES = [
    Case(
        "a role on the vault",
        lambda world: world.vault.keyvault.forbid(),
        NO_SECRET,
        "the app may not read it",
        "role Key Vault Secrets User",
    ),
    Case(
        "a secret of the vault",
        lambda world: world.vault.keyvault.delete(SECRET_NAME),
        NO_SECRET,
        "no such secret",
        f"Put the secret {SECRET_NAME} into the vault",
    ),
    Case("the vault", lambda world: world.vault.keyvault.fault.fail(500), NO_SECRET, "answered 500", "Check the vault"),
    Case("the identity of the app", somebody_else, NO_SECRET, "not accepted", "managed identity"),
    Case("the secret in AvePoint", rotated, NO_TOKEN, "invalid_client", "belong to the same app registration"),
    Case("the identity service", nobody_listens, {"identity", *NO_TOKEN}, "no connection", "AVEPOINT_*_URL"),
    Case(
        "the identity service for a while",
        avepoint_fault("/.well-known/*", status=502),
        {"identity"},
        "answers 502",
        "ask AvePoint",
    ),
    Case(
        "a permission",
        avepoint_fault("/connect/token", status=400, body={"error": "invalid_scope"}),
        NO_TOKEN,
        "refuses a token for",
        "Grant the app registration the permission",
    ),
    Case("a right to read", avepoint_fault(POWERAPPS, status=403), {PAGE}, "answered 403", f"permission {SCOPE}"),
    Case("a list", avepoint_fault(POWERAPPS, status=500), {PAGE}, "answered 500", "ask AvePoint support"),
    Case("an address", avepoint_fault(POWERAPPS, body="<html>"), {PAGE}, "answered 200", "AVEPOINT_*_URL"),
    Case("the form of a page", avepoint_fault(POWERAPPS, body={"rows": []}), {PAGE}, "powerapps", "changed its API"),
    Case(
        "patience",
        avepoint_fault(POWERAPPS, status=429, headers={"Retry-After": "60"}),
        {PAGE},
        "429",
        "You do not have to do anything",
        status="warning",
    ),
    Case("a right in Opus", avepoint_fault(RECORDS, status=403), {"opus"}, "answered 403", "permission records."),
    Case("Opus", avepoint_fault(RECORDS, status=502), {"opus"}, "answered 502", "ask AvePoint support"),
    Case(
        "the question to Opus",
        avepoint_fault(RECORDS, status=500),
        {"opus"},
        "nothing more was proven",
        "List due records of a connection",
        status="warning",
    ),
    Case(
        "the account key",
        with_key("d3Jvbmc="),
        {
            "storage",
            "tables",
            "tables/files",
            "snapshots",
            "verify",
            "anchors",
            "operations",
            *CONTAINERS,
            *QUEUES,
            *POISON,
            *LEDGER,
        },
        "refuses access",
        "heck the key",
    ),
    Case(
        "a role on storage",
        read_only,
        {"storage", *QUEUES, *LEDGER},
        "refuses access",
        "roles Storage Blob Data Contributor",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_what_is_broken_is_named_with_its_remedy(only_enpower: Open, world: World, case: Case) -> None:
    settings = case.broken(world)
    checks = await examined(await only_enpower(settings), look=True)
    assert {one.name for one in checks if one.status != "ok"} == case.lines
    for one in checks:
        if one.name in case.lines:
            assert case.message in one.message, one
            assert case.remedy in one.remedy, one
            assert one.status == case.status, one
    shows_no_secret(checks, world)


def shows_no_secret(checks: list[Check], world: World) -> None:
    text = Report.of(checks).to_json().decode()
    tokens = [*world.avepoint.avepoint.identity._grants, *world.vault.identity._tokens]  # noqa: SLF001 - nobody else's business
    for secret in (CLIENT.client_secret, KEY, world.vault.identity.header, "sig=", *tokens):
        assert secret not in text


async def test_when_all_is_well_every_line_says_so(opening: Open, world: World) -> None:
    checks = await examined(await opening(), look=True)
    names = [one.name for one in checks]
    assert {one.status for one in checks} == {"ok"}, checks
    assert len(names) == len(set(names))
    assert set(names) >= {"settings", f"vault/{SECRET_NAME}", "identity", "clock", "opus", "storage"}
    assert set(names) >= {*CONTAINERS, *QUEUES, *POISON}
    assert set(names) >= {f"{kind}/{source}" for kind in ("datasets", "page") for source in SOURCES}
    shows_no_secret(checks, world)


async def test_one_item_of_one_dataset_of_each_source_is_asked_for_and_nothing_is_changed(
    opening: Open, timed: Simulator
) -> None:
    services = await opening()
    await examined(services, look=True)
    asked = [entry for entry in timed.requests() if not entry.path.startswith(("/connect/", "/.well-known/"))]
    assert sorted((entry.method, entry.path) for entry in asked) == [
        ("GET", "/partner/customers"),
        ("GET", RECORDS),
        ("GET", POWERAPPS),
        ("GET", ENVIRONMENTS),
    ]
    assert [entry.items for entry in asked if entry.path in {ENVIRONMENTS, POWERAPPS}] == [1, 1]
    assert [path async for path in services.storage.list(Container.HARVEST_STATE, "health/")] == []
    assert [await services.storage.depth(queue) for queue in Queue] == [0] * len(Queue)


async def test_what_is_asked_counts_against_the_budget(only_enpower: Open) -> None:
    services = await only_enpower({"THROTTLE_REQUESTS": "1"})
    checks = {one.name: one for one in await examined(services, look=True)}
    spent = [checks[name] for name in (PAGE, "opus") if "used up" in checks[name].message]
    assert [(one.status, one.remedy) for one in spent] == [
        ("warning", "If AvePoint allows more, raise THROTTLE_REQUESTS.")
    ]


class TestStorage:
    async def test_a_container_that_is_gone(self, only_enpower: Open) -> None:
        services = await only_enpower()
        async with without_container(services, Container.EVIDENCE):
            found = check(await examined(services, look=True), "storage/opus-evidence")
        assert (found.status, found.remedy) == (
            "error",
            "Restart the app: if it has the right, it creates what is missing.",
        )

    async def test_a_queue_that_is_gone(self, only_enpower: Open) -> None:
        services = await only_enpower()
        client = services.storage._queue(Queue.SLICES)  # noqa: SLF001 - the app never deletes a queue
        await client.delete_queue()
        found = check(await examined(services, look=True), "queue/harvest-slices")
        await services.storage.prepare()
        assert (found.status, found.message) == ("error", "the queue does not exist")
        assert "Restart the app" in found.remedy

    async def test_poison_messages(self, only_enpower: Open) -> None:
        services = await only_enpower()
        client = services.storage._queue("harvest-slices-poison")  # noqa: SLF001 - the host makes it
        await client.create_queue()
        await client.send_message("spent")
        found = check(await examined(services, look=True), "queue/harvest-slices-poison")
        await client.delete_queue()
        assert (found.status, found.message) == ("warning", "messages that are waiting: about 1")
        assert "GET /api/runs" in found.remedy


@asynccontextmanager
async def without_container(services: Services, container: Container) -> AsyncIterator[None]:
    await services.storage._blobs.delete_container(container)  # noqa: SLF001 - the app never deletes a container
    try:
        yield
    finally:
        await services.storage.prepare()


class TestPatience:
    """What hangs costs a bounded time, and a line."""

    async def test_a_list_that_hangs(
        self, only_enpower: Open, timed: Simulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        services = await only_enpower()
        await services.tokens.get("avepoint", SCOPE)
        monkeypatch.setattr(checking, "PATIENCE_SECONDS", 4.0)
        timed.fault(path=POWERAPPS, latencyMs=600_000)
        async with asyncio.timeout(120):
            checks = await examined(services, look=True)
        assert check(checks, PAGE).message == "there was no answer within 4 s"
        assert check(checks, PAGE).remedy

    @pytest.mark.parametrize("look", [False, True])
    async def test_storage_that_is_away(
        self, opening: Open, azurite: Azurite, monkeypatch: pytest.MonkeyPatch, *, look: bool
    ) -> None:
        await opening()
        away = azurite.connection_string.replace(azurite.blob_url, f"http://127.0.0.1:{free_port()}/{ACCOUNT}")
        monkeypatch.setenv("INVENTORY_STORAGE", away)
        monkeypatch.setattr(checking, "PATIENCE_SECONDS", 0.5)
        async with asyncio.timeout(120):
            checks = await examine(lambda: open_services(load_settings()), look=look)
        assert [one.name for one in checks if one.status == "error"] == ["storage"]
        assert "Check the storage account" in check(checks, "storage").remedy

    async def test_what_nobody_foresaw(self, only_enpower: Open, monkeypatch: pytest.MonkeyPatch) -> None:
        services = await only_enpower()
        monkeypatch.setattr("shared.doctor.avepoint.read_page", lambda *_: 1 / 0)
        found = check(await examined(services, look=True), PAGE)
        assert (found.status, found.message) == ("error", "ZeroDivisionError('division by zero')")


class TestClock:
    @pytest.mark.parametrize(
        ("seconds", "status", "message"),
        [
            (0, "ok", "0 s behind"),
            (59, "ok", "59 s ahead of"),
            (61, "warning", "61 s ahead of"),
            (-299, "warning", "299 s behind"),
            (-301, "error", "301 s behind"),
        ],
    )
    def test_the_skew(self, clock: Clock, seconds: int, status: str, message: str) -> None:
        theirs = clock.now.replace(microsecond=0)
        found = clock_check(dated(format_datetime(theirs, usegmt=True)), theirs + timedelta(seconds=seconds))
        assert (found.status, found.message) == (status, f"{message} the identity service")
        assert bool(found.remedy) == (status != "ok")

    @pytest.mark.parametrize("date", ["", "soon"])
    def test_a_date_that_is_none(self, clock: Clock, date: str) -> None:
        assert clock_check(dated(date), clock.now).status == "warning"

    async def test_it_is_compared_with_a_real_answer(self, only_enpower: Open, clock: Clock) -> None:
        services = await only_enpower()
        clock.advance(minutes=6)
        assert check(await examined(services, look=True), "clock").status == "error"


def dated(date: str) -> Response:
    return Response(200, {"date": date} if date else {}, b"")


class TestHealth:
    """What anybody may ask for: what is known, and no question to AvePoint."""

    async def test_the_details_look_and_the_anonymous_answer_does_not(
        self, only_enpower: Open, vaulted: Running, timed: Simulator
    ) -> None:
        services = await only_enpower()
        for _ in range(5):
            assert not [one for one in await examined(services) if one.name.startswith(("token/", "vault/"))]
        assert not vaulted.keyvault.reads
        assert not timed.requests()

        checks = await examined(services, look=True)

        assert {one.status for one in checks} == {"ok"}
        assert "good until" in check(checks, TOKEN).message
        assert check(checks, "token/opus/records.readwrite.all").status == "ok"
        asked = timed.requests()
        remembered = [one for one in await examined(services) if one.name != "storage"]
        assert {TOKEN, OPUS_TOKEN, f"vault/{SECRET_NAME}"} <= {one.name for one in remembered}
        assert [one for one in remembered if one not in checks] == []
        assert timed.requests() == asked

    @pytest.mark.parametrize(
        ("days", "status", "message"),
        [(31, "ok", "expires on"), (29, "warning", "expires on"), (-1, "error", "expired on")],
    )
    async def test_the_end_of_a_certificate_is_reported_thirty_days_ahead(
        self, only_enpower: Open, vaulted: Running, clock: Clock, days: int, status: str, message: str
    ) -> None:
        ending = client_certificate(lifetime=timedelta(days=days, hours=1), now=clock.now)
        vaulted.keyvault.put("client-certificate", ending.pkcs12)
        services = await only_enpower({"AVEPOINT_CERTIFICATE_NAME": "client-certificate"})

        found = check(await examined(services, look=True), "certificate/AVEPOINT_CERTIFICATE_NAME")

        assert (found.status, found.message[: len(message)]) == (status, message)
        assert f"{ending.expires:%Y-%m-%dT%H:%M:%SZ}" in found.message
        assert bool(found.remedy) == (status != "ok")

    async def test_the_end_of_a_secret_is_reported_where_the_vault_knows_it(
        self, only_enpower: Open, vaulted: Running, clock: Clock
    ) -> None:
        vaulted.keyvault.put(SECRET_NAME, CLIENT.client_secret, expires=clock.now + timedelta(days=3))
        found = check(await examined(await only_enpower(), look=True), f"vault/{SECRET_NAME}")
        assert (found.status, found.message[:10]) == ("warning", "expires on")

    async def test_a_failure_is_reported_with_its_remedy_and_goes_away_by_itself(
        self, only_enpower: Open, vaulted: Running, clock: Clock
    ) -> None:
        services = await only_enpower()
        vaulted.keyvault.enable(SECRET_NAME, enabled=False)
        failed = await examined(services, look=True)
        assert {check(failed, name).status for name in (TOKEN, f"vault/{SECRET_NAME}")} == {"error"}
        assert "Enable the secret" in check(failed, TOKEN).remedy

        vaulted.keyvault.enable(SECRET_NAME)
        reads = vaulted.keyvault.reads[SECRET_NAME]
        await examined(services)
        assert vaulted.keyvault.reads[SECRET_NAME] == reads, "not asked again within a minute"

        clock.now += RECHECKED_AFTER
        await until_ok(services, TOKEN)

    async def test_a_permission_for_opus_is_missed_only_where_opus_is_used(
        self, only_enpower: Open, timed: Simulator
    ) -> None:
        for settings, status in (
            ({"OPUS_DESTROY_ENABLED": ""}, "warning"),
            ({"OPUS_DESTROY_ENABLED": "true"}, "error"),
        ):
            services = await only_enpower(settings)
            timed.fault(path="/connect/token", times=None, status=400, body={"error": "invalid_scope"})
            assert check(await examined(services, look=True), OPUS_TOKEN).status == status


class TestCommand:
    @pytest.fixture
    def environ(self, azurite: Azurite, avepoint: Simulator, vaulted: Running) -> dict[str, str]:
        settings = app_settings(avepoint_url=avepoint.url, storage=azurite.connection_string)
        return {**os.environ, **settings, **vaulted.environ}

    async def test_all_is_well(self, environ: dict[str, str]) -> None:
        status, output = await doctor(environ)
        *lines, last = output.splitlines()
        assert status == 0, output
        assert last.startswith("ok: avepoint-functions ")
        assert [line for line in lines if not line.startswith("ok       ")] == []

    async def test_something_is_broken(self, environ: dict[str, str], avepoint: Simulator) -> None:
        avepoint.fault(path="/connect/token", times=None, status=400, body={"error": "invalid_client"})
        status, output = await doctor(environ)
        lines = output.splitlines()
        assert status == 1, output
        at = next(number for number, line in enumerate(lines) if line.startswith(f"error    {TOKEN} "))
        assert "invalid_client" in lines[at]
        remedies = [line.strip() for line in lines if line.strip().startswith("-> ")]
        assert len([one for one in remedies if one.startswith("-> Check that the client id and the secret")]) == 1
        assert lines[at + 1].strip() in remedies
        assert CLIENT.client_secret not in output

    async def test_settings_are_named(self, environ: dict[str, str]) -> None:
        del environ["AVEPOINT_CLIENT_ID"]
        environ["HARVEST_PAGE_SIZE"] = "many"
        status, output = await doctor(environ, "--json")
        report = Report.from_json(output.encode())
        assert (status, report.status) == (1, "unhealthy")
        assert {one.name for one in report.checks} == {"AVEPOINT_CLIENT_ID", "HARVEST_PAGE_SIZE"}
        assert all(one.name in one.remedy for one in report.checks)

    async def test_settings_of_the_core_tools(self, tmp_path: Path) -> None:
        settings = tmp_path / "local.settings.json"
        settings.write_text(json.dumps({"IsEncrypted": False, "Values": {"AVEPOINT_DATA_CENTER": "moon"}}))
        status, output = await doctor(dict(os.environ), "--settings", str(settings))
        assert status == 1
        assert "error    AVEPOINT_DATA_CENTER" in output
        assert "'moon' is not a data centre" in output

    async def test_settings_that_cannot_be_read(self, tmp_path: Path) -> None:
        status, output = await doctor(dict(os.environ), "--settings", str(tmp_path / "nothing.json"))
        assert status == 2
        assert output.endswith("nothing.json cannot be used: No such file or directory\n")


async def doctor(environ: Mapping[str, str], *arguments: str) -> tuple[int, str]:
    """Run the command: its exit status, and everything it printed."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "shared.doctor", *arguments),
        cwd=ROOT,
        env=environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await child.communicate()
    return child.returncode or 0, output.decode()


@pytest.mark.parametrize("given", [["--apply"], ["--repair", "--json"], ["--repair", "--apply", "--json"]])
def test_options_that_do_not_go_together_are_refused(given: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(given)
    assert caught.value.code == 2
    assert "--repair" in capsys.readouterr().err
