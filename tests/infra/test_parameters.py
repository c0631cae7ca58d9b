"""Every choice is a variable: what each is read as, which sentence refuses it, and what comes back as an output.

The compiler takes seconds, and tells all that it refuses at once: wrong values of different variables share a run.
"""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.avepoint.platform import DATA_CENTERS
from tests.infra.compiler import bicep, parameters, refusals
from tests.infra.environments import CALLERS, ENVIRONMENTS, HUB, LANDING_ZONE, PRIVATE, PUBLIC, READERS, REQUIRED
from tests.infra.paths import INFRA
from tests.infra.snapshot import Snapshot, Value

FILE = (INFRA / "main.bicepparam").read_text()
VARIABLES = set(re.findall(r"readEnvironmentVariable\('(\w+)'", FILE))
NOT_TOLD = {"AVEPOINT_CLIENT_SECRET", "AVEPOINT_CLIENT_SECRET_EXPIRES_ON"}
ZONES: dict[str, Value] = {
    kind: f"{HUB}/Microsoft.Network/privateDnsZones/{kind}"
    for kind in ("blob", "queue", "table", "dfs", "vault", "sites")
}

REFUSED: dict[str, dict[str, tuple[str, str]]] = tomllib.loads(
    Path(__file__).with_name("refused.toml").read_text().replace("{hub}", HUB)
)

TAKEN: dict[str, tuple[dict[str, str], dict[str, Value]]] = {
    "everybody's": (
        PUBLIC | {"AVEPOINT_CLIENT_SECRET_EXPIRES_ON": "2027-01-31T18:00:00+01:00", "NETWORK": "", "APP_SETTINGS": " "},
        {
            "secretNames": ["avepoint-client-secret"],
            "secretsExpireOn": "2027-01-31T18:00:00+01:00",
            "administratorPrincipalType": "Group",
            "appSettings": {},
        },
    ),
    "a closed one": (
        PRIVATE,
        {
            "network": "private",
            "alertEmails": ["records@contoso.com", "it@contoso.com"],
            "allowedIpRanges": ["203.0.113.0/24", "198.51.100.7/32"],
            "entraClientId": CALLERS,
            "readersPrincipalId": READERS,
            "monthlyBudget": 50,
            "monthlyBudgetFrom": "2027-01-01",
            "zoneRedundant": True,
            "updateStrategy": "RollingUpdate",
            "disabledFunctions": ["harvest_elements", "destroy_records"],
            "appSettings": {
                "HARVEST_GRAPH_DATASETS": "enpower-*",
                "HARVEST_PAGE_SIZE": "500",
                "SWEEP_SCHEDULE": "0 */5 * * * *",
            },
        },
    ),
    "a company's": (
        LANDING_ZONE,
        {
            "assignRoles": False,
            "privateDnsZoneIds": {},
            "storageEncryption": "double",
            "resourceNames": {
                "app": "func-opus-prd",
                "vault": "kv-opus-prd",
                "host": "stopushostprd",
                "data": "stopusdataprd",
                "tables": "stopustablesprd",
            },
            "tags": {"owner": "records", "costcenter": "4711"},
            "evidenceDays": 3650,
            "rawDeleteAfterDays": 180,
        },
    ),
    "in between, with a secret of another name": (
        REQUIRED
        | {
            "AVEPOINT_CLIENT_SECRET": " s ",
            "AVEPOINT_CLIENT_SECRET_EXPIRES_ON": " 2028-02-29 ",
            "NETWORK": " both ",
            "ROUTE_TABLE_ID": f"{HUB}/Microsoft.Network/routeTables/firewall",
            "PRIVATE_DNS_ZONE_IDS": " , ".join(f"{kind} = {zone}" for kind, zone in ZONES.items()),
            "ALLOWED_IP_RANGES": "2001:db8::1,2001:db8::/32",
            "NETWORK_ADDRESS_PREFIX": "10.8.0.0/20",
            "MAXIMUM_INSTANCES": "100",
            "INSTANCE_MEMORY_MB": "4096",
            "EVIDENCE_LOCKED": "true",
            "TAGS": ",".join(["purpose=a=b", *(f"tag-{number}=x" for number in range(14))]),
            "APP_SETTINGS": '{"AVEPOINT_CLIENT_SECRET_NAME": "opus", "OPUS_DESTROY_ENABLED": true, "VERIFY_DAYS": "0"}',
        },
        {
            "secretNames": ["opus"],
            "secretValues": {"opus": " s "},
            "secretsExpireOn": "2028-02-29",
            "network": "both",
            "routeTableId": f"{HUB}/Microsoft.Network/routeTables/firewall",
            "privateDnsZoneIds": ZONES,
            "allowedIpRanges": ["2001:db8::1/128", "2001:db8::/32"],
            "networkAddressPrefix": "10.8.0.0/20",
            "maximumInstanceCount": 100,
            "instanceMemoryMB": 4096,
            "evidenceLocked": True,
            "tags": {"purpose": "a=b", **{f"tag-{number}": "x" for number in range(14)}},
            "appSettings": {"AVEPOINT_CLIENT_SECRET_NAME": "opus", "OPUS_DESTROY_ENABLED": "true", "VERIFY_DAYS": "0"},
        },
    ),
    "unusual, and right": (
        REQUIRED
        | {
            "RESOURCE_NAMES": "app=kv-opus-prd,vault=kv-opus-prd,host=stopus",
            "DISABLED_FUNCTIONS": "sweep,sweep",
            "ALLOWED_IP_RANGES": "::1:2:3:4:5:6:7,0.0.0.0/0,203.0.113.7,203.0.113.7/32,::/0",
            "ALERT_EMAILS": "it@contoso.com,o'hara+it@sub.contoso.co.uk,it@contoso.com",
            "NETWORK": "both",
            "NETWORK_ADDRESS_PREFIX": "10.0.0.0/8",
            "TAGS": ",".join(f"tag-{number}=x" for number in range(14)),
            "APP_SETTINGS": """{
                "HARVEST_RUN_HOURS": 1.5, "TABLES_DATASETS": "[ge]*/*", "VERIFY_DAYS": 0, "OPUS_DESTROY_ENABLED": false
            }""",
        },
        {
            "resourceNames": {"app": "kv-opus-prd", "vault": "kv-opus-prd", "host": "stopus"},
            "disabledFunctions": ["sweep"],
            "allowedIpRanges": ["::1:2:3:4:5:6:7/128", "0.0.0.0/0", "203.0.113.7/32", "::/0"],
            "alertEmails": ["it@contoso.com", "o'hara+it@sub.contoso.co.uk"],
            "networkAddressPrefix": "10.0.0.0/8",
            "tags": {f"tag-{number}": "x" for number in range(14)},
            "appSettings": {
                "HARVEST_RUN_HOURS": "1.5",
                "TABLES_DATASETS": "[ge]*/*",
                "VERIFY_DAYS": "0",
                "OPUS_DESTROY_ENABLED": "false",
            },
        },
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", REFUSED)
def test_each_wrong_value_is_refused_in_a_sentence_that_names_the_variable(kind: str) -> None:
    wrong = REFUSED[kind]
    told = refusals(REQUIRED | {variable: value for variable, (value, _) in wrong.items()})
    expected = [sentence for _, sentence in wrong.values() if sentence]
    assert [sentence for sentence in expected if not any(sentence in found for found in told)] == []
    assert len(told) == len(expected), told


@pytest.mark.slow
@pytest.mark.parametrize("kind", TAKEN)
def test_variables_become_parameters(kind: str) -> None:
    variables, expected = TAKEN[kind]
    assert expected.items() <= parameters(variables).items()


@pytest.mark.slow
def test_what_is_not_json_is_refused_by_the_compiler() -> None:
    done = bicep(
        "build-params", str(INFRA / "main.bicepparam"), "--stdout", variables={**REQUIRED, "APP_SETTINGS": "{x"}
    )
    assert done.returncode == 1
    assert "BCP186" in done.stderr


@pytest.mark.slow
def test_empty_variables_count_as_not_set() -> None:
    """A pipeline sets every variable that it does not know to nothing."""
    assert parameters(dict.fromkeys(VARIABLES, "") | REQUIRED) == parameters(REQUIRED)


def test_the_readme_lists_every_variable_and_every_output() -> None:
    readme, template = (INFRA / "README.md").read_text(), (INFRA / "main.bicep").read_text()
    listed = {
        name for row in re.findall(r"^\| (`[A-Z_`, ]+`) \|", readme, re.MULTILINE) for name in re.findall(r"\w+", row)
    }
    assert listed == VARIABLES | set(re.findall(r"^output (\w+) ", template, re.MULTILINE))


def test_every_data_centre_is_taken() -> None:
    listed = re.findall(r'"([\w-]+)"', (INFRA / "data-centers.json").read_text())
    assert listed == list(DATA_CENTERS)


def test_every_variable_is_an_output_of_its_own_name(each: Snapshot) -> None:
    assert each.outputs.keys() >= VARIABLES - NOT_TOLD
    assert NOT_TOLD.isdisjoint(each.outputs)


@pytest.mark.slow
@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_the_outputs_given_back_as_variables_come_to_the_same(name: str, request: pytest.FixtureRequest) -> None:
    """``azd env refresh`` on a second computer."""
    deployed: Snapshot = request.getfixturevalue(name.replace("-", "_"))
    kept = dict(told(deployed)) | {variable: ENVIRONMENTS[name][variable] for variable in NOT_TOLD}
    assert without_defaults(parameters(kept)) == without_defaults(parameters(ENVIRONMENTS[name]))


def test_preflight_knows_the_defaults() -> None:
    script = (INFRA / "preflight/weaker.sh").read_text()
    (known,) = re.findall(r'^DEFAULTS="([^"]+)"$', script, re.MULTILINE)
    template = (INFRA / "main.bicep").read_text()
    parameter_of = dict(
        re.findall(r"^output ([A-Z_]+) string = (?:toLower\(|string\()*(\w+)\)*$", template, re.MULTILINE)
    )
    defaults = dict(re.findall(r"^param (\w+) \S+ = '?(\w+)'?$", template, re.MULTILINE))
    for variable, default in (choice.split("=") for choice in known.split()):
        assert (variable, defaults[parameter_of[variable]]) == (variable, default)


def told(deployed: Snapshot) -> Iterator[tuple[str, str]]:
    for variable in VARIABLES - NOT_TOLD:
        value = deployed.outputs[variable]
        assert isinstance(value, str)
        yield variable, value


def without_defaults(given: dict[str, Value]) -> dict[str, Value]:
    """The parameters that were chosen: an output tells defaults, too."""
    template = (INFRA / "main.bicep").read_text()
    defaults = dict(re.findall(r"^param (\w+) \S+ = '?([\w./]+)'?$", template, re.MULTILINE))
    return {
        name: value
        for name, value in given.items()
        if name != "location" and value not in ("", [], {}) and str(value).lower() != defaults.get(name, "").lower()
    }
