"""Secrets: kept, renewed, outliving an outage; with the real Azure clients against a vault over TLS."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from azure.identity.aio import DefaultAzureCredential, ManagedIdentityCredential

from sandbox.avepoint import Credentials
from sandbox.stack import app_settings
from sandbox.vault import ClientCertificate, Running, client_certificate
from shared.avepoint.platform import Registration
from shared.azure import vault
from shared.azure.identity import open_identity
from shared.credentials.cache import PAUSE
from shared.credentials.secrets import SERVED_WHILE_AWAY, TIME_TO_LIVE, Secret, Secrets, VaultUnavailable
from shared.errors import Misconfigured, Problem, Unauthorized
from shared.http.tls import client_context
from shared.services import Services
from shared.settings import load_settings
from tests.conftest import CLIENT, Clock, Simulator
from tests.shared.conftest import SECRET_NAME, Open, check, examined, until_ok

SCOPE = "enpower.data.read.all"

type Revoke = Callable[[Running], None]


class FakeVault:
    """A vault with one secret, that counts how often it is read."""

    def __init__(self) -> None:
        self.value = "one"
        self.reads = 0
        self.error: Exception | None = None

    async def read(self, name: str) -> Secret:
        self.reads += 1
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        return Secret(name, self.value, self.value)


@pytest.fixture
def fake() -> FakeVault:
    return FakeVault()


@pytest.fixture
def secrets(fake: FakeVault, clock: Clock) -> Secrets:
    return Secrets(fake.read, clock=clock)


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


class TestCache:
    async def test_reads_once_however_many_ask(self, secrets: Secrets, fake: FakeVault) -> None:
        got = await asyncio.gather(*(secrets.get("s") for _ in range(50)))
        assert {secret.value for secret in got} == {"one"}
        assert fake.reads == 1

    async def test_renews_ahead_of_time_without_making_anybody_wait(
        self, secrets: Secrets, fake: FakeVault, clock: Clock
    ) -> None:
        await secrets.get("s")
        fake.value = "two"
        clock.advance(minutes=9)
        assert (await secrets.get("s")).value == "one"
        await settled()
        assert (await secrets.get("s")).value == "two"
        assert fake.reads == 2

    async def test_serves_nothing_older_than_its_time_to_live(
        self, secrets: Secrets, fake: FakeVault, clock: Clock
    ) -> None:
        await secrets.get("s")
        fake.value = "two"
        clock.now += TIME_TO_LIVE
        assert (await secrets.get("s")).value == "two"

    async def test_a_refusal_of_the_vault_ends_the_use_of_a_secret(
        self, secrets: Secrets, fake: FakeVault, clock: Clock
    ) -> None:
        await secrets.get("s")
        fake.error = Misconfigured([Problem("KEY_VAULT_URL", "forbidden", "")])
        clock.now += TIME_TO_LIVE
        with pytest.raises(Misconfigured):
            await secrets.get("s")

    @pytest.mark.parametrize("minutes", [9, 10])
    async def test_what_the_vault_refuses_is_gone_at_once_and_for_good(
        self, secrets: Secrets, fake: FakeVault, clock: Clock, minutes: int
    ) -> None:
        await secrets.get("s")
        fake.error = Misconfigured([Problem("KEY_VAULT_URL", "it is disabled", "")])
        clock.advance(minutes=minutes)
        with suppress(Misconfigured):
            await secrets.get("s")
        await settled()
        fake.error = VaultUnavailable("away")
        with pytest.raises(VaultUnavailable):
            await secrets.get("s")

    def test_the_value_is_in_no_repr(self) -> None:
        assert "hush" not in repr(Secret("s", "hush", "1"))


class TestOutage:
    @pytest.fixture(autouse=True)
    async def away(self, secrets: Secrets, fake: FakeVault, clock: Clock) -> None:
        """The vault goes away after it gave the secret."""
        await secrets.get("s")
        fake.error = VaultUnavailable("away")
        clock.now += TIME_TO_LIVE

    async def test_the_last_value_is_served_and_health_can_tell(self, secrets: Secrets, clock: Clock) -> None:
        since = clock.now
        assert (await secrets.get("s")).value == "one"
        clock.advance(hours=1)
        assert (await secrets.get("s")).value == "one"
        (known,) = secrets.states()
        assert (known.away_since, known.read_at) == (since, since - TIME_TO_LIVE)

    async def test_the_vault_is_asked_every_now_and_then_and_nobody_waits(
        self, secrets: Secrets, fake: FakeVault, clock: Clock
    ) -> None:
        for _ in range(20):
            await secrets.get("s")
            await settled()
        assert fake.reads == 2
        clock.now += PAUSE
        await secrets.get("s")
        await settled()
        assert fake.reads == 3

    async def test_it_ends_after_six_hours(self, secrets: Secrets, clock: Clock) -> None:
        await secrets.get("s")
        clock.now += SERVED_WHILE_AWAY
        with pytest.raises(VaultUnavailable):
            await secrets.get("s")
        (known,) = secrets.states()
        assert known.away_since is None
        assert isinstance(known.failure, VaultUnavailable)

    async def test_the_vault_comes_back(self, secrets: Secrets, fake: FakeVault, clock: Clock) -> None:
        await secrets.get("s")
        fake.error, fake.value = None, "two"
        clock.now += PAUSE
        await secrets.get("s")
        await settled()
        assert (await secrets.get("s")).value == "two"
        assert secrets.states()[0].away_since is None


class TestAnother:
    async def test_reads_past_the_cache_once_however_many_were_refused(self, secrets: Secrets, fake: FakeVault) -> None:
        refused = await secrets.get("s")
        fake.value = "two"
        got = await asyncio.gather(*(secrets.refreshed(refused) for _ in range(50)))
        got.append(await secrets.refreshed(refused))
        assert {secret.value for secret in got if secret} == {"two"}
        assert fake.reads == 2

    async def test_is_none_while_the_vault_holds_the_same(self, secrets: Secrets) -> None:
        assert await secrets.refreshed(await secrets.get("s")) is None

    async def test_is_none_while_the_vault_is_away_and_keeps_the_last_value(
        self, secrets: Secrets, fake: FakeVault
    ) -> None:
        refused = await secrets.get("s")
        fake.error = VaultUnavailable("away")
        assert await secrets.refreshed(refused) is None
        assert await secrets.get("s") == refused


async def token(services: Services, registration: Registration = "avepoint") -> str:
    return await services.tokens.get(registration, SCOPE)


def rotate(vaulted: Running, timed: Simulator) -> None:
    timed.avepoint.identity.credentials = Credentials(CLIENT.client_id, "rotated")
    vaulted.keyvault.put(SECRET_NAME, "rotated")


class TestAgainstTheVault:
    async def test_the_secret_is_read_once_for_many_tokens(self, opening: Open, vaulted: Running) -> None:
        services = await opening()
        await asyncio.gather(*(services.tokens.get("avepoint", scope) for scope in (SCOPE, "audit.read.all")))
        assert vaulted.keyvault.reads == {SECRET_NAME: 1}
        assert vaulted.identity.requests == 1

    async def test_a_rotated_secret_is_picked_up_at_once(
        self, opening: Open, vaulted: Running, timed: Simulator
    ) -> None:
        services = await opening()
        await token(services)
        rotate(vaulted, timed)

        await asyncio.gather(
            *(services.tokens.get("avepoint", scope) for scope in ("audit.read.all", "records.readwrite.all"))
        )

        assert vaulted.keyvault.reads == {SECRET_NAME: 2}
        statuses = [entry.status for entry in timed.requests("/connect/token")]
        assert sorted(map(str, statuses)) == ["200", "200", "200", "400", "400"]

    async def test_a_secret_that_stays_wrong_is_named(self, opening: Open, timed: Simulator, vaulted: Running) -> None:
        services = await opening()
        timed.avepoint.identity.credentials = Credentials(CLIENT.client_id, "rotated")

        with pytest.raises(Unauthorized, match="invalid_client") as caught:
            await token(services)

        assert f"the secret {SECRET_NAME} in the vault" in caught.value.remedy
        assert (len(timed.requests("/connect/token")), vaulted.keyvault.reads[SECRET_NAME]) == (1, 2)

    @pytest.mark.parametrize(
        ("revoke", "reason", "remedy"),
        [
            (lambda running: running.keyvault.forbid(), "may not read", "role Key Vault Secrets User"),
            (lambda running: running.keyvault.enable(SECRET_NAME, enabled=False), "disabled", "Enable the secret"),
            (lambda running: running.keyvault.delete(SECRET_NAME), "no such secret", f"Put the secret {SECRET_NAME}"),
            (lambda running: running.identity.revoke(), "not accepted", "managed identity"),
            (lambda running: running.keyvault.put(SECRET_NAME, " "), "it is empty", "Put a new version"),
        ],
    )
    async def test_what_is_revoked_is_refused_by_name_within_ten_minutes(
        self, opening: Open, vaulted: Running, clock: Clock, revoke: Revoke, reason: str, remedy: str
    ) -> None:
        services = await opening()
        await token(services)
        revoke(vaulted)
        clock.now += TIME_TO_LIVE

        with pytest.raises(Misconfigured, match=reason) as caught:
            await services.tokens.get("avepoint", "audit.read.all")

        assert remedy in caught.value.remedy

    async def test_a_throttled_vault_is_asked_again_and_then_given_up(
        self, opening: Open, vaulted: Running, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        services = await opening()
        vaulted.keyvault.fault.fail(429, retry_after="0.01", times=1)
        await token(services)

        monkeypatch.setattr(vault, "READ_SECONDS", 0.3)
        vaulted.keyvault.fault.fail(429, retry_after="60")
        assert services.secrets is not None
        async with asyncio.timeout(30):
            with pytest.raises(VaultUnavailable):
                await services.secrets.get("another")

    async def test_an_outage_is_survived_and_reported_and_over_when_it_is_over(
        self, opening: Open, vaulted: Running, clock: Clock
    ) -> None:
        services = await opening()
        await token(services)
        name = f"vault/{SECRET_NAME}"
        async with vaulted.outage():
            clock.now += TIME_TO_LIVE
            await services.tokens.get("avepoint", "audit.read.all")
            away = check(await examined(services), name)
            assert away.status == "warning"
            assert "served from memory since" in away.message

        clock.now += PAUSE
        await examined(services, look=True)
        await until_ok(services, name)

    async def test_an_outage_before_the_first_read_is_an_error_that_may_pass(
        self, opening: Open, vaulted: Running
    ) -> None:
        services = await opening()
        async with vaulted.outage():
            with pytest.raises(VaultUnavailable):
                await token(services)
        assert await token(services)

    @pytest.mark.parametrize("answer", [[], None])
    async def test_an_answer_that_is_no_secret_is_an_outage_too(
        self, opening: Open, vaulted: Running, monkeypatch: pytest.MonkeyPatch, answer: object
    ) -> None:
        services = await opening()
        monkeypatch.setattr(vaulted.keyvault, "read", lambda *_, **__: answer)
        with pytest.raises(VaultUnavailable, match="cannot be read"):
            await token(services)
        monkeypatch.undo()
        assert await token(services)

    async def test_an_end_that_is_no_time_is_none(
        self, opening: Open, vaulted: Running, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Such as one in milliseconds."""
        read = vaulted.keyvault.read
        monkeypatch.setattr(
            vaulted.keyvault, "read", lambda *of, **at: read(*of, **at) | {"attributes": {"exp": 1798761600000}}
        )
        services = await opening()
        assert await token(services)
        assert services.secrets is not None
        assert (await services.secrets.get(SECRET_NAME)).expires is None

    async def test_a_failing_identity_endpoint_is_an_outage_too(self, opening: Open, vaulted: Running) -> None:
        services = await opening()
        vaulted.identity.fault.fail(500)
        with pytest.raises(VaultUnavailable):
            await token(services)
        vaulted.identity.fault.recover()
        assert await token(services)

    async def test_an_identity_that_is_not_assigned_is_refused_by_name(
        self, opening: Open, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AZURE_CLIENT_ID", "somebody-else")
        with pytest.raises(Misconfigured, match="identity of the app is not accepted"):
            await token(await opening())

    async def test_a_vault_with_an_unknown_certificate_is_not_trusted(
        self, opening: Open, tmp_path: Path, certificate: ClientCertificate
    ) -> None:
        other = tmp_path / "other.pem"
        other.write_text(certificate.public)
        with pytest.raises(VaultUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
            await token(await opening({"SSL_CERT_FILE": str(other)}))

    async def test_a_challenge_for_another_domain_is_refused(
        self, opening: Open, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(vault, "is_loopback", lambda _: False)
        with pytest.raises(Misconfigured, match="does not match the requested domain"):
            await token(await opening())


class TestCertificates:
    @pytest.mark.parametrize("form", ["pkcs12", "pem"])
    async def test_a_certificate_of_the_vault_gets_a_token(
        self, opening: Open, vaulted: Running, timed: Simulator, certificate: ClientCertificate, form: str
    ) -> None:
        timed.avepoint.identity.assertions.register(CLIENT.client_id, certificate.public)
        vaulted.keyvault.put("client-certificate", getattr(certificate, form))
        services = await opening({"AVEPOINT_CERTIFICATE_NAME": "client-certificate"})
        assert await token(services)
        assert await services.tokens.get("avepoint", "audit.read.all"), "each assertion is a new one"

    async def test_a_renewed_certificate_is_picked_up_at_once(
        self,
        opening: Open,
        vaulted: Running,
        timed: Simulator,
        certificate: ClientCertificate,
        other_certificate: ClientCertificate,
    ) -> None:
        assertions = timed.avepoint.identity.assertions
        assertions.register(CLIENT.client_id, certificate.public)
        vaulted.keyvault.put("client-certificate", certificate.pkcs12)
        services = await opening({"AVEPOINT_CERTIFICATE_NAME": "client-certificate"})
        await token(services)

        assertions.unregister(CLIENT.client_id)
        assertions.register(CLIENT.client_id, other_certificate.public)
        vaulted.keyvault.put("client-certificate", other_certificate.pkcs12)

        assert await services.tokens.get("avepoint", "audit.read.all")

    @pytest.mark.parametrize(
        ("registration", "settings", "setting"),
        [
            ("avepoint", {}, "AVEPOINT_CERTIFICATE_NAME"),
            ("elements", {}, "AVEPOINT_CERTIFICATE_NAME"),
            ("opus", {"OPUS_CLIENT_ID": "o", "OPUS_CERTIFICATE_NAME": "unusable"}, "OPUS_CERTIFICATE_NAME"),
            (
                "elements",
                {"ELEMENTS_CLIENT_ID": "e", "ELEMENTS_CERTIFICATE_NAME": "unusable"},
                "ELEMENTS_CERTIFICATE_NAME",
            ),
        ],
    )
    async def test_one_without_digital_signature_is_refused_by_the_setting_in_force(
        self, opening: Open, vaulted: Running, registration: Registration, settings: dict[str, str], setting: str
    ) -> None:
        vaulted.keyvault.put("unusable", client_certificate(digital_signature=False).pkcs12)
        services = await opening({"AVEPOINT_CERTIFICATE_NAME": "unusable", **settings})
        with pytest.raises(Misconfigured, match="lacks digital signature") as caught:
            await token(services, registration)
        assert [problem.setting for problem in caught.value.problems] == [setting]


async def test_no_log_line_holds_a_secret(
    opening: Open,
    vaulted: Running,
    timed: Simulator,
    certificate: ClientCertificate,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("DEBUG")
    timed.avepoint.identity.assertions.register(CLIENT.client_id, certificate.public)
    vaulted.keyvault.put("client-certificate", certificate.pkcs12)

    with_certificate = await opening({"AVEPOINT_CERTIFICATE_NAME": "client-certificate"})
    credential = await with_certificate.credentials.get("avepoint")
    secrets = [await token(with_certificate), await token(await opening()), credential.fields["client_assertion"]]
    timed.avepoint.identity.credentials = Credentials(CLIENT.client_id, "rotated")
    with pytest.raises(Unauthorized):
        await token(await opening())

    assert "refresh.failed" in caplog.text
    for secret in (*secrets, CLIENT.client_secret, certificate.pkcs12[:60], vaulted.identity.header):
        assert secret not in caplog.text


class TestIdentity:
    @pytest.mark.parametrize(
        ("settings", "platform", "expected"),
        [
            ({}, {}, DefaultAzureCredential),
            ({"INVENTORY_STORAGE__credential": "managedidentity"}, {}, ManagedIdentityCredential),
            ({}, {"IDENTITY_ENDPOINT": "http://localhost/msi", "IDENTITY_HEADER": "h"}, ManagedIdentityCredential),
        ],
    )
    async def test_it_is_the_managed_one_in_azure_and_the_developers_on_a_laptop(
        self,
        settings: dict[str, str],
        platform: dict[str, str],
        expected: type,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        caplog.set_level("INFO")
        environ = app_settings(avepoint_url="https://a.example", storage="unused")
        environ |= {"AVEPOINT_CLIENT_SECRET": "unused", **settings}
        credential = open_identity(load_settings(environ), client_context(None), environ=platform)
        await credential.close()
        assert isinstance(credential, expected)
        assert "identity.chosen" in caplog.text

    async def test_a_user_assigned_one_is_named_by_its_client_id(
        self, vaulted: Running, opening: Open, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        vaulted.identity.client_id = "assigned"
        monkeypatch.setenv("AZURE_CLIENT_ID", "another")
        assert await token(await opening({"INVENTORY_STORAGE__clientId": "assigned"}))
        vaulted.identity.client_id = "another"
        assert await token(await opening())


def test_a_bundle_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.touch()
    for path in (tmp_path / "missing.pem", empty, tmp_path):
        with pytest.raises(Misconfigured) as caught:
            client_context(str(path))
        assert [problem.setting for problem in caught.value.problems] == ["SSL_CERT_FILE"]
