import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from shared.avepoint.platform import DATA_CENTERS
from shared.errors import GiveUp, Misconfigured
from shared.schedule import Schedule
from shared.settings import Settings, load_settings, use_local_settings
from tests.recordings import recorded

ROOT = Path(__file__).parents[2]

# What the host takes and the app does not: several spaces between fields, and ranges that run backwards.
STRICTER = re.compile(r"\S  +\S|17-9|50-10|11-2|FRI-MON|SAT-SUN|4-2|31-1")
VALID = {
    "AVEPOINT_DATA_CENTER": "we",
    "AVEPOINT_CLIENT_ID": "client",
    "AVEPOINT_CLIENT_SECRET": "secret",
    "INVENTORY_STORAGE": "UseDevelopmentStorage=true",
    "HARVEST_ENPOWER_SCHEDULE": "0 0 1 * * *",
    "HARVEST_GRAPH_SCHEDULE": "0 0 2 * * *",
    "HARVEST_ELEMENTS_SCHEDULE": "0 0 3 * * *",
    "SWEEP_SCHEDULE": "0 */10 * * * *",
}
VAULT = {"KEY_VAULT_URL": "https://vault.vault.azure.net"}


def settings(**changes: str) -> Settings:
    return load_settings(VALID | changes)


def faults(environ: dict[str, str]) -> dict[str, str]:
    with pytest.raises(Misconfigured) as caught:
        load_settings(environ)
    assert all(problem.remedy for problem in caught.value.problems)
    return {problem.setting: problem.message for problem in caught.value.problems}


def test_defaults() -> None:
    read = settings()
    assert (read.enpower_datasets, read.elements_datasets) == (("*",), ())
    assert (read.slice_seconds, read.part_seconds, read.part_bytes) == (240, 120, 64 * 1024 * 1024)
    assert (read.throttle_requests, read.throttle_concurrency, read.opus_sync_seconds) == (15000, 8, 25)
    assert (read.opus_destroy_enabled, read.auth_mode, read.opus_api) == (False, "key", "graph")


@pytest.mark.parametrize("name", sorted(VALID))
def test_a_setting_that_is_missing_is_named(name: str) -> None:
    environ = {key: value for key, value in VALID.items() if key != name}
    assert "is missing" in faults(environ)[name]
    assert "is missing" in faults(VALID | {name: "  "})[name]


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("AVEPOINT_DATA_CENTER", "moon", "is not a data centre; known are au, sg"),
        ("AVEPOINT_GRAPH_URL", "graph.example", "an absolute URL"),
        ("AVEPOINT_GRAPH_URL", "http://graph.example", "must be https"),
        ("AVEPOINT_GRAPH_URL", "https://user@graph.example", "without user"),
        ("AVEPOINT_ENPOWER_URL", "https://graph.example", "does not end in /smp"),
        ("HARVEST_GRAPH_SCHEDULE", "0 2 * * *", "six fields"),
        ("HARVEST_GRAPH_SCHEDULE", "0 0 25 * * *", "'25' is no hour: use a number from 0 to 23"),
        ("HARVEST_ENPOWER_SCHEDULE", "0 0 22-2 * * *", "'22-2' of the hour does not end above its start"),
        ("SWEEP_SCHEDULE", "0 0 0 30 2 *", "never comes"),
        ("HARVEST_PAGE_SIZE", "0", "greater than or equal to 1"),
        ("HARVEST_PAGE_SIZE", "many", "valid integer"),
        ("HARVEST_SLICE_SECONDS", "3600", "less than or equal to 480"),
        ("HARVEST_TENANTS", "good, ../bad", "'../bad' is not a tenant id"),
        ("OPUS_TIME_ZONE", "Mars/Olympus", "not an IANA time zone"),
        ("OPUS_DESTROY_ENABLED", "perhaps", "valid boolean"),
        ("THROTTLE_RESERVED_PERCENT", "100", "less than 100"),
        ("AUTH_MODE", "none", "'key' or 'entra'"),
    ],
)
def test_a_setting_that_is_wrong_is_named(name: str, value: str, complaint: str) -> None:
    found = faults(VALID | {name: value})
    assert list(found) == [name]
    assert complaint in found[name]


@pytest.mark.parametrize("case", recorded("host/ncrontab"), ids=lambda case: repr(case["expression"]))
def test_a_schedule_that_the_host_refuses_or_that_never_comes_is_named(case: dict[str, Any]) -> None:
    environ = VALID | {"HARVEST_GRAPH_SCHEDULE": case["expression"]}
    if case["kind"] != "six" or case["never"]:
        assert list(faults(environ)) == ["HARVEST_GRAPH_SCHEDULE"]
    elif not STRICTER.search(case["expression"]):
        assert load_settings(environ).schedule("graph") == Schedule.parse(case["expression"])


def test_all_faults_are_named_at_once() -> None:
    assert faults({}).keys() >= VALID.keys() - {"AVEPOINT_CLIENT_SECRET", "INVENTORY_STORAGE"}
    assert faults(VALID | {"AUTH_MODE": "x", "OPUS_API": "y"}).keys() == {"AUTH_MODE", "OPUS_API"}


def test_faults_of_one_setting_and_of_several_together_are_named_in_one_look() -> None:
    wrong = {
        "AVEPOINT_GRAPH_URL": "nowhere",
        "AVEPOINT_ENPOWER_URL": "https://graph.example",
        "HARVEST_PAGE_SIZE": "many",
        "OPUS_API": "connector",
        "OPUS_DESTROY_ENABLE": "true",
    }
    environ = {name: value for name, value in (VALID | wrong).items() if name != "AVEPOINT_CLIENT_SECRET"}
    assert faults(environ).keys() == {
        "AVEPOINT_GRAPH_URL",
        "AVEPOINT_ENPOWER_URL",
        "HARVEST_PAGE_SIZE",
        "OPUS_DESTROY_ENABLE",
        "AVEPOINT_CLIENT_SECRET",
        "OPUS_DISPOSE_PATH",
        "AVEPOINT_OPUS_URL",
    }


@pytest.mark.parametrize("name", ["KEY_VAULT_URL", "INVENTORY_STORAGE__blobServiceUri", "AVEPOINT_DATA_CENTER"])
def test_a_fault_is_not_followed_by_what_only_it_makes_look_wrong(name: str) -> None:
    vault = (
        VALID
        | VAULT
        | {
            "INVENTORY_STORAGE__blobServiceUri": "https://a.blob.core.windows.net",
            "INVENTORY_STORAGE__queueServiceUri": "https://a.queue.core.windows.net",
        }
    )
    environ = {key: value for key, value in vault.items() if key not in {"AVEPOINT_CLIENT_SECRET", "INVENTORY_STORAGE"}}
    assert faults(environ | {name: "ftp://nowhere"}).keys() == {name}


@pytest.mark.parametrize(
    ("name", "closest"),
    [
        ("OPUS_DESTROY_ENABLE", "OPUS_DESTROY_ENABLED"),
        ("HARVEST_GRAPH_DATASET", "HARVEST_GRAPH_DATASETS"),
        ("Opus_Destroy_Enabled", "OPUS_DESTROY_ENABLED"),
        ("TABLES_STORAGE__queueServiceUri", "TABLES_STORAGE"),
        ("VERIFY_DAY", "VERIFY_DAYS"),
    ],
)
def test_a_misspelt_name_is_named_with_the_closest(name: str, closest: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        load_settings(VALID | {name: "true"})
    (problem,) = caught.value.problems
    assert problem.setting == name
    assert closest in problem.remedy


def test_names_of_others_are_theirs() -> None:
    assert settings(WEBSITE_SITE_NAME="a", AzureWebJobsStorage="b", OPUSX="c", INVENTORY="d") == settings()


def test_the_placeholders_of_the_sample_are_named() -> None:
    sample = json.loads((ROOT / "local.settings.sample.json").read_text())["Values"]
    assert faults(sample).keys() == {"AVEPOINT_CLIENT_ID", "AVEPOINT_CLIENT_SECRET"}


def test_a_client_id_has_no_blanks() -> None:
    assert faults(VALID | {"AVEPOINT_CLIENT_ID": "the client id of your app"}).keys() == {"AVEPOINT_CLIENT_ID"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TABLES_DATASETS", "enpower-powerapps"),
        ("TABLES_DATASETS", "none,graph/*"),
        ("TABLES_HIDE_FIELDS", "persnal"),
        ("PUBLIC_URL", "https://a.example/api"),
        ("PUBLIC_URL", "a.example"),
        ("OPUS_SETTLE_SECONDS", "0"),
        ("OPUS_SUBMIT_HOURS", "0"),
        ("VERIFY_DAYS", "-1"),
        ("VERIFY_DAYS", "nan"),
        ("HARVEST_RUN_HOURS", "inf"),
        ("HARVEST_WINDOW_DAYS", "1e9"),
        ("HARVEST_OPEN_DAYS", "1e300"),
        ("HARVEST_WINDOW_LAG_MINUTES", "nan"),
        ("HARVEST_WINDOW_OVERLAP_MINUTES", "1e12"),
        ("HARVEST_PART_SECONDS", "nan"),
        ("OPUS_SETTLE_SECONDS", "nan"),
        ("TABLES_KEEP_DAYS", "1e9"),
        ("TABLES_CHANGES_DAYS", "inf"),
        ("THROTTLE_WINDOW_SECONDS", "1e-9"),
        ("THROTTLE_RESERVED_PERCENT", "nan"),
        ("TABLES_DATASETS", "graph/enpower-powerap"),
        ("TABLES_DATASETS", ","),
        ("TABLES_HIDE_FIELDS", " , "),
        ("AVEPOINT_GRAPH_URL", "https://graph.example:"),
        ("AVEPOINT_GRAPH_URL", "https://graph%2Eexample"),
        ("TABLES_DATASETS", "*,!graph/enpower-powerap"),
        ("TABLES_HIDE_FIELDS", "*email*"),
        ("TABLES_HIDE_FIELDS", "enpower-powerapps.owner"),
        ("TABLES_HIDE_FIELDS", "graph/enpower-powerap.owner"),
        ("TABLES_HIDE_FIELDS", "graph/enpower-powerapps."),
        ("OPUS_DATE_FORMAT", "MM/dd/yyyy"),
        ("OPUS_DATE_FORMAT", "%Y-%m"),
        ("OPUS_DATE_FORMAT", "%H:%M"),
        ("OPUS_DATE_FORMAT", "%Y-%m-%d %Q"),
        ("OPUS_DISPOSE_PATH", "https://opus.example/dispose"),
        ("OPUS_DISPOSE_PATH", "api/dispose?x=1"),
        ("OPUS_DISPOSE_PATH", "api/../dispose"),
        ("AVEPOINT_IDENTITY_URL", "https://identity.example/connect/token"),
        ("AVEPOINT_GRAPH_URL", "https://graph.example?"),
        ("AVEPOINT_GRAPH_URL", "https://graph.example "),
        ("AVEPOINT_GRAPH_URL", "https://graph .example"),
        ("AVEPOINT_GRAPH_URL", "https://graph.example:x"),
        ("AVEPOINT_GRAPH_URL", "https://graph.example:99999"),
        ("AVEPOINT_OPUS_URL", "https://<your-gateway>"),
        ("KEY_VAULT_URL", "https://vault.vault.azure.net/secrets/name"),
        ("INVENTORY_STORAGE__blobServiceUri", "https://{account}.blob.core.windows.net"),
        ("AVEPOINT_CLIENT_SECRET", "@Microsoft.KeyVault(SecretUri=https://v.vault.azure.net/secrets/s)"),
        ("OPUS_TIME_ZONE", "."),
        ("OPUS_TIME_ZONE", "Europe"),
    ],
)
def test_what_could_not_be_meant_is_refused(name: str, value: str) -> None:
    assert faults(VALID | {name: value}).keys() == {name}


def test_tables_are_switched_off_with_a_word() -> None:
    assert (settings(TABLES_DATASETS="none").tables_datasets, settings().tables_datasets) == ((), ("*",))


def test_a_value_is_never_repeated_where_it_may_be_secret() -> None:
    with pytest.raises(Misconfigured) as caught:
        load_settings(VALID | {"HARVEST_PAGE_SIZE": "hunter2"})
    assert "hunter2" not in str(caught.value)
    assert "secret" not in repr(settings(AVEPOINT_CLIENT_SECRET="hunter2")).replace("client_secret", "")


class TestUrls:
    def test_those_of_the_data_centre(self) -> None:
        read = settings()
        assert read.base_url("graph") == read.opus_url == "https://graph-we.avepointonlineservices.com"
        assert read.base_url("enpower") == "https://graph-we.avepointonlineservices.com/smp"
        assert read.base_url("elements") == "https://graph.avepointonlineservices.com"
        assert read.identity_url == "https://identity.avepointonlineservices.com"

    @pytest.mark.parametrize(
        ("code", "identity"),
        [("gov", "identity-gov.avepointonlineservices.com"), ("fedramp", "identity.online15.net")],
    )
    def test_identity_environments(self, code: str, identity: str) -> None:
        assert settings(AVEPOINT_DATA_CENTER=code).identity_url == f"https://{identity}"

    def test_overrides_lose_their_last_slash(self) -> None:
        read = settings(AVEPOINT_GRAPH_URL="http://127.0.0.1:1/", AVEPOINT_IDENTITY_URL="https://id.example/")
        assert (read.graph_url, read.opus_url, read.identity_url) == (
            "http://127.0.0.1:1",
            "http://127.0.0.1:1",
            "https://id.example",
        )

    def test_no_enpower_is_a_fault_only_for_who_asks(self) -> None:
        read = settings(AVEPOINT_DATA_CENTER="gcp-au")
        assert read.base_url("graph")
        with pytest.raises(Misconfigured, match="'gcp-au' has no EnPower Web API"):
            read.base_url("enpower")
        given = settings(AVEPOINT_DATA_CENTER="gcp-au", AVEPOINT_ENPOWER_URL="https://graph.example/smp")
        assert given.base_url("enpower") == "https://graph.example/smp"

    def test_every_data_centre(self) -> None:
        assert len(DATA_CENTERS) == 23
        assert {code for code, center in DATA_CENTERS.items() if center.enpower_url} == {
            "au",
            "sg",
            "ca",
            "ne",
            "we",
            "fr",
            "de",
            "jp",
            "kr",
            "ch",
            "uk",
            "us",
            "gov",
        }


class TestDatasets:
    def test_an_empty_list_means_none_of_them(self) -> None:
        assert settings(HARVEST_ENPOWER_DATASETS="").datasets("enpower") == ()

    def test_names_globs_and_exclusions(self) -> None:
        read = settings(HARVEST_GRAPH_DATASETS=" enpower-*, !enpower-agents ,,aos-jobs")
        assert read.datasets("graph") == ("enpower-*", "!enpower-agents", "aos-jobs")


class TestStorage:
    def test_addresses_instead_of_a_connection_string(self) -> None:
        environ = {name: value for name, value in VALID.items() if name != "INVENTORY_STORAGE"}
        blob = {"INVENTORY_STORAGE__blobServiceUri": "https://a.blob.core.windows.net"}
        queue = {"INVENTORY_STORAGE__queueServiceUri": "https://a.queue.core.windows.net"}
        assert load_settings(environ | blob | queue).storage_connection_string is None
        assert list(faults(environ | blob)) == ["INVENTORY_STORAGE__queueServiceUri"]
        assert list(faults(environ | queue)) == ["INVENTORY_STORAGE__blobServiceUri"]


class TestCredentials:
    def test_one_registration_for_all(self) -> None:
        read = settings()
        assert read.credential("opus") == read.credential("elements") == read.credential("avepoint")

    def test_a_registration_of_its_own(self) -> None:
        read = settings(ELEMENTS_CLIENT_ID="partner", ELEMENTS_CLIENT_SECRET="other")
        assert read.credential("elements").client_id == "partner"
        assert read.credential("opus").client_id == "client"

    def test_a_registration_of_its_own_needs_a_proof_of_its_own(self) -> None:
        assert list(faults(VALID | {"OPUS_CLIENT_ID": "opus"})) == ["OPUS_CLIENT_SECRET"]

    @pytest.mark.parametrize("prefix", ["OPUS", "ELEMENTS"])
    @pytest.mark.parametrize("proof", ["CLIENT_SECRET_NAME", "CERTIFICATE_NAME", "CLIENT_SECRET"])
    def test_a_proof_without_the_registration_it_belongs_to_is_named(self, prefix: str, proof: str) -> None:
        environ = VALID | VAULT | {f"{prefix}_{proof}": "other-one"}
        assert faults(environ).keys() == {f"{prefix}_CLIENT_ID"}

    @pytest.mark.parametrize("name", ["https://vault.vault.azure.net/secrets/mine", "my_secret", "a/b", "x" * 128])
    def test_a_name_in_the_vault_is_not_a_url(self, name: str) -> None:
        assert faults(VALID | VAULT | {"AVEPOINT_CLIENT_SECRET_NAME": name}).keys() == {"AVEPOINT_CLIENT_SECRET_NAME"}

    def test_in_a_vault_the_secret_has_a_name(self) -> None:
        assert settings(**VAULT).credential("avepoint").secret_name == "avepoint-client-secret"
        named = settings(**VAULT, AVEPOINT_CLIENT_SECRET_NAME="mine")
        assert named.credential("avepoint").secret_name == "mine"
        certified = settings(**VAULT, AVEPOINT_CERTIFICATE_NAME="cert")
        assert certified.credential("avepoint")[1:3] == (None, "cert")

    def test_a_name_needs_a_vault(self) -> None:
        assert list(faults(VALID | {"AVEPOINT_CERTIFICATE_NAME": "cert"})) == ["KEY_VAULT_URL"]


def test_the_legacy_opus_api_needs_what_is_documented_nowhere() -> None:
    assert list(faults(VALID | {"OPUS_API": "connector"})) == ["OPUS_DISPOSE_PATH", "AVEPOINT_OPUS_URL"]


def test_the_sample_settings_are_settings_of_the_app() -> None:
    sample = json.loads((ROOT / "local.settings.sample.json").read_text())["Values"]
    known = {field.alias for field in Settings.model_fields.values()}
    host = {"FUNCTIONS_WORKER_RUNTIME", "AzureWebJobsStorage"}
    assert sample.keys() - host <= known
    load_settings(sample | {"AVEPOINT_CLIENT_ID": "client", "AVEPOINT_CLIENT_SECRET": "secret"})


ODD = [
    "0",
    "-1",
    "nan",
    "1e999",
    "9" * 5000,
    "\u0661",
    "%",
    "%%Y",
    "[",
    "[!",
    "../x",
    "/etc",
    ",",
    "https://[",
    "x" * 5000,
    "{x}",
]


@pytest.mark.parametrize("name", [field.alias for field in Settings.model_fields.values()])
def test_whatever_a_setting_says_it_is_taken_or_named(name: str) -> None:
    for value in ODD:
        try:
            load_settings(VALID | {name: value})
        except Misconfigured as error:
            assert all(problem.remedy for problem in error.problems)  # noqa: PT017 - either of the two is right
            assert len(str(error)) < 20_000  # noqa: PT017 - as above


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b'{"Values": {"A": "1",}}', "it is not JSON: trailing comma at line 1 column 22"),
        (b"", "it is not JSON: EOF while parsing a value at line 1 column 0"),
        (b'{"A": "1"}', "it has no Values, or they are not all text"),
        (b'{"Values": {"A": 1}}', "it has no Values, or they are not all text"),
    ],
)
def test_a_file_of_settings_that_cannot_be_used_says_why(tmp_path: Path, content: bytes, reason: str) -> None:
    file = tmp_path / "local.settings.json"
    file.write_bytes(content)
    with pytest.raises(GiveUp, match=re.escape(f"{file} cannot be used: {reason}")):
        use_local_settings(file)


def test_a_file_of_settings_may_begin_with_a_byte_order_mark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPUS_API", "connector")
    file = tmp_path / "local.settings.json"
    file.write_text('{"Values": {"OPUS_API": "graph"}}', encoding="utf-8-sig")
    use_local_settings(file)
    assert os.environ["OPUS_API"] == "graph"
