"""infra/preflight.sh says each thing that would stop or weaken a deployment once, and changes nothing."""

import re
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tests.infra.azure.cli import CommandLine, Done
from tests.infra.azure.deploying import seed
from tests.infra.azure.management import SUBSCRIPTION
from tests.infra.azure.server import Standin
from tests.infra.azure.subscription import GROUP_ID, NETWORK_ID, ROOT_ID, SITE, VARIABLES, VAULT, allow, deploy
from tests.infra.environments import ENVIRONMENTS
from tests.infra.paths import SNAPSHOTS
from tests.infra.snapshot import Snapshot

THIS_MONTH = datetime.now(UTC).strftime("%Y-%m-01")
REQUIRED = {name: VARIABLES[name] for name in ("AZURE_ENV_NAME", "AVEPOINT_DATA_CENTER", "AVEPOINT_CLIENT_ID")}


async def preflight(shell: CommandLine, azure: Standin, **variables: str) -> Done:
    """Run it, and see that nothing was written."""
    done = await shell.run("infra/preflight.sh", **variables)
    assert azure.management.writes == []
    return done


def ago(days: int) -> str:
    """Return the day so many days ago."""
    return f"{datetime.now(UTC) - timedelta(days=days):%Y-%m-%d}"


def about(done: Done) -> list[str]:
    """What the lines begin with."""
    return [line.partition(":")[0] for line in done.lines]


async def test_all_is_well(shell: CommandLine, azure: Standin) -> None:
    done = await preflight(shell, azure, **VARIABLES)
    assert done == Done(0, "", "")


@pytest.mark.parametrize("name", ENVIRONMENTS)
async def test_what_is_deployed_is_no_finding_against_itself(shell: CommandLine, azure: Standin, name: str) -> None:
    """As azd runs it: with the subscription named, and the variables that made the snapshot."""
    snapshot = Snapshot.read(SNAPSHOTS / f"{name}.json")
    outputs = {key: value for key, value in snapshot.outputs.items() if isinstance(value, str)}
    seed(azure.management, snapshot)
    deploy(azure.management, "test-9", at="2026-11-09T10:00:00Z", outputs=outputs)
    variables = {key: value for key, value in ENVIRONMENTS[name].items() if key != "AVEPOINT_CLIENT_SECRET"}
    done = await preflight(shell, azure, **variables, AZURE_SUBSCRIPTION_ID=SUBSCRIPTION)
    assert (done.status, done.output) == (0, "")


async def test_subnets_are_found_where_the_subscription_is_named(shell: CommandLine, azure: Standin) -> None:
    done = await preflight(shell, azure, **VARIABLES, AZURE_SUBSCRIPTION_ID=SUBSCRIPTION)
    assert done == Done(0, "", "")


async def test_the_first_deployment_into_a_group_that_is_not_there(shell: CommandLine, azure: Standin) -> None:
    del azure.management.resources[GROUP_ID.lower()]
    wanted = {"NETWORK": "private", "MONTHLY_BUDGET": "50", "MONTHLY_BUDGET_FROM": THIS_MONTH}
    done = await preflight(shell, azure, **REQUIRED, **wanted, AZURE_LOCATION="West Europe")
    assert done == Done(0, "", "")


async def test_fewer_variables_weaken(shell: CommandLine, azure: Standin) -> None:
    fixed = {"EVIDENCE_LOCKED": "true", "ENDPOINT_SUBNET_ID": VARIABLES["ENDPOINT_SUBNET_ID"]}
    weaker = ["NETWORK", "ENTRA_CLIENT_ID", "ALLOWED_IP_RANGES", "ALERT_EMAILS", "DISABLED_FUNCTIONS", "APP_SETTINGS"]

    done = await preflight(shell, azure, **REQUIRED, **fixed)
    assert (done.status, about(done), done.errors) == (1, weaker, "")
    assert all(" azd env set " in line for line in done.lines)
    assert "azd env set ALERT_EMAILS 'records@contoso.example, it@contoso.example'" in done.output

    done = await preflight(shell, azure, **REQUIRED, **fixed, ALLOW_WEAKER="true")
    assert (done.status, about(done), done.errors) == (0, weaker, "")


async def test_a_little_weaker_is_weaker(shell: CommandLine, azure: Standin) -> None:
    less = {"NETWORK": "both", "ALLOWED_IP_RANGES": "203.0.113.9,192.0.2.0/24", "ALERT_EMAILS": "IT@contoso.example"}
    done = await preflight(shell, azure, **VARIABLES | less)
    assert (done.status, about(done)) == (1, list(less))
    assert "private is deployed, and both would open" in done.lines[0]
    assert "ALLOWED_IP_RANGES: 192.0.2.0/24 may not call the app as it is deployed" in done.lines[1]
    assert "ALERT_EMAILS: records@contoso.example would no longer be told" in done.lines[2]


@pytest.mark.parametrize(
    ("narrow", "wide", "lies_within"),
    [
        ("203.0.113.0/24", "203.0.113.0/24", True),
        ("203.0.113.128/25", "203.0.113.0/24", True),
        ("203.0.113.7", "203.0.113.0/24", True),
        ("203.0.112.0/23", "203.0.113.0/24", False),
        ("198.51.100.8/32", "198.51.100.7", False),
        ("198.51.100.8", "0.0.0.0/0", True),
        ("2001:DB8::1", "2001:db8::1/128", True),
        ("2001:db8::/48", "2001:db8::/32", False),
    ],
)
async def test_ranges(shell: CommandLine, narrow: str, wide: str, *, lies_within: bool) -> None:
    """Of IP version 6, only the same range counts."""
    parts = "source infra/preflight/looking.sh; source infra/preflight/weaker.sh"
    done = await shell.run(f"{parts}; within {narrow} {wide} && echo within || echo beyond")
    assert done.output == ("within\n" if lies_within else "beyond\n")


async def test_what_azure_refuses_stays_a_finding(shell: CommandLine, azure: Standin) -> None:
    asked = {
        "AZURE_LOCATION": "westus",
        "RESOURCE_NAMES": "vault=kv-ours",
        "STORAGE_ENCRYPTION": "double",
        "EVIDENCE_LOCKED": "",
        "ENDPOINT_SUBNET_ID": f"{NETWORK_ID}/subnets/others",
        "STORAGE_SKU": "Standard_LRS",
        "MONTHLY_BUDGET_FROM": "2026-11-01",
    }
    azure.management.put(NETWORK_ID, location="westus")
    deploy(azure.management, "prod-4", at="2026-11-04T10:00:00Z", outputs=VARIABLES | {"RESOURCE_NAMES": ""})
    done = await preflight(shell, azure, **VARIABLES | asked, ALLOW_WEAKER="true")
    assert done.status == 1
    assert sorted(about(done)) == sorted(asked)
    assert all(" azd env set " in line for line in done.lines)


async def test_what_stops_a_first_deployment(shell: CommandLine, azure: Standin) -> None:
    resources = azure.management.resources
    del resources[GROUP_ID.lower()]
    resources[f"{ROOT_ID}/providers/microsoft.app"]["registrationState"] = "NotRegistered"
    resources[f"{ROOT_ID}/providers/microsoft.eventgrid"]["registrationState"] = "Registering"
    azure.management.put(
        f"{ROOT_ID}/providers/Microsoft.KeyVault/deletedVaults/{VAULT}",
        properties={
            "vaultId": f"{GROUP_ID}/providers/Microsoft.KeyVault/vaults/{VAULT}",
            "location": "westus",
            "deletionDate": "2026-11-01T00:00:00Z",
            "scheduledPurgeDate": "2027-01-30T00:00:00Z",
            "tags": {"azd-env-name": "test"},
        },
    )
    allow(azure.management, ["*"], ["Microsoft.Authorization/*/Write"])
    asked = {"NETWORK": "private", "MONTHLY_BUDGET": "50", "MONTHLY_BUDGET_FROM": "2026-03-01"}
    asked |= {"AZURE_LOCATION": "westus", "ZONE_REDUNDANT": "true"}

    done = await preflight(shell, azure, **REQUIRED, **asked)

    assert done.status == 1
    assert about(done) == [
        *("ZONE_REDUNDANT", "STORAGE_SKU", "MONTHLY_BUDGET_FROM", "Microsoft.App", "Microsoft.EventGrid"),
        *(VAULT, "ASSIGN_ROLES"),
    ]
    for cure in (
        "azd env set ZONE_REDUNDANT false",
        "azd env set STORAGE_SKU Standard_LRS",
        f"azd env set MONTHLY_BUDGET_FROM {THIS_MONTH}",
        "az provider register --wait --namespace Microsoft.App",
        "az group create --name rg-test --location westus && az keyvault recover",
        f"az keyvault recover --name {VAULT} --location westus --resource-group rg-test",
        "azd env set ASSIGN_ROLES false",
    ):
        assert cure in done.output


async def test_a_region_without_the_plan(shell: CommandLine, azure: Standin) -> None:
    del azure.management.resources[GROUP_ID.lower()]
    done = await preflight(shell, azure, **REQUIRED, AZURE_LOCATION="antarctica", ASSIGN_ROLES="false")
    assert (done.status, about(done)) == (1, ["AZURE_LOCATION"])
    done = await preflight(shell, azure, **REQUIRED, AZURE_LOCATION="")
    assert (done.status, about(done)) == (1, ["AZURE_LOCATION"])


async def test_nobody_has_to_assign_roles_where_others_do(shell: CommandLine, azure: Standin) -> None:
    allow(azure.management, ["*/read", "Microsoft.Resources/deployments/*"], [])
    done = await preflight(shell, azure, **VARIABLES, ASSIGN_ROLES="false")
    assert done == Done(0, "", "")
    done = await preflight(shell, azure, **VARIABLES)
    assert (done.status, about(done)) == (1, ["ASSIGN_ROLES"])
    allow(azure.management, ["*/read", "Microsoft.Authorization/roleAssignments/*"], [])
    assert (await preflight(shell, azure, **VARIABLES)).status == 0


async def test_a_deployment_that_goes_on(shell: CommandLine, azure: Standin) -> None:
    deploy(azure.management, "prod-4", at="2026-11-04T10:00:00Z", outputs={}, state="Running")
    deploy(azure.management, "network", at="2026-11-04T10:00:01Z", outputs={}, state="Running")
    done = await preflight(shell, azure, **VARIABLES, ALLOW_WEAKER="true")
    assert (done.status, about(done)) == (1, ["prod-4"])
    assert "az deployment group wait --created --resource-group rg-test --name prod-4" in done.output


async def test_a_network_elsewhere_and_a_subnet_of_others(shell: CommandLine, azure: Standin) -> None:
    azure.management.put(NETWORK_ID, location="northeurope")
    azure.management.put(VARIABLES["APP_SUBNET_ID"], properties={"delegations": []})
    done = await preflight(shell, azure, **VARIABLES)
    assert (done.status, about(done)) == (1, ["APP_SUBNET_ID", "ENDPOINT_SUBNET_ID", "APP_SUBNET_ID"])
    assert "--delegations Microsoft.App/environments" in done.output


async def test_operations_at_work_and_a_secret_in_the_bin(shell: CommandLine, azure: Standin) -> None:
    keys = []

    async def operations(request: Request) -> Response:
        keys.append(request.headers["x-functions-key"])
        first = {ago(0): "Running", ago(9): "NotStarted"}.get(request.query_params["date"], "Succeeded")
        return JSONResponse({"value": [{"status": one} for one in (first, "Succeeded")]})

    async def bin_of_the_vault(request: Request) -> Response:
        assert request.url.path == "/deletedsecrets"
        return JSONResponse({"value": [{"id": f"https://{VAULT}.vault.azure.test/secrets/avepoint-client-secret"}]})

    azure.services |= {".sites.azure.test": operations, ".vault.azure.test": bin_of_the_vault}
    secrets = {"APP_KEY": "key-of-the-app", "AVEPOINT_CLIENT_SECRET": "secret-of-the-client"}
    done = await preflight(shell, azure, **VARIABLES, **secrets)
    assert (done.status, about(done)) == (1, ["avepoint-client-secret", SITE])
    assert f"az keyvault secret recover --vault-name {VAULT} --name avepoint-client-secret" in done.output
    assert f"{SITE}: operations at work: 2, and a deployment ends what runs" in done.output
    assert f'/api/operations?date={ago(9)}"' in done.output
    assert keys == ["key-of-the-app"] * 10
    assert not [value for value in secrets.values() if value in done.output + done.errors]


async def test_from_private_to_public_where_subnets_are_from_outside(shell: CommandLine, azure: Standin) -> None:
    """The parameter file refuses subnets and zones without private endpoints."""
    asked = {"NETWORK": "public", "APP_SUBNET_ID": "", "ENDPOINT_SUBNET_ID": "", "PRIVATE_DNS_ZONE_IDS": ""}
    done = await preflight(shell, azure, **VARIABLES | asked)
    assert (done.status, about(done)) == (1, ["NETWORK"])
    done = await preflight(shell, azure, **VARIABLES | asked, ALLOW_WEAKER="true")
    assert (done.status, about(done)) == (0, ["NETWORK"])


async def test_a_part_that_is_left_out(shell: CommandLine, azure: Standin) -> None:
    deployed = VARIABLES | {
        "APP_SETTINGS": '{"TABLES_HIDE_FIELDS":"personal","VERIFY_DAYS":"7"}',
        "TAGS": "owner=records,costcenter=4711",
        "RETENTION_DAYS": "raw-cool=30,raw=730,runs=60,operations=730,deleted=14,evidence=3650,logs=90",
    }
    deploy(azure.management, "prod-4", at="2026-11-04T10:00:00Z", outputs=deployed)
    more = {"APP_SETTINGS": '{"VERIFY_DAYS": 9, "TABLES_HIDE_FIELDS": ""}', "TAGS": " costcenter = 1,owner=it,more=x "}
    kept = {"RETENTION_DAYS": "raw=800,evidence=3650,raw-cool=5"}
    done = await preflight(shell, azure, **VARIABLES | more | kept)
    assert done == Done(0, "", "")

    less = {"APP_SETTINGS": '{\n  "VERIFY_DAYS" : 7}', "TAGS": "owner=records", "RETENTION_DAYS": "evidence = 3000"}
    done = await preflight(shell, azure, **VARIABLES | less | {"PRIVATE_DNS_ZONE_IDS": ""})
    assert (done.status, done.errors) == (1, "")
    assert about(done) == ["APP_SETTINGS", "PRIVATE_DNS_ZONE_IDS", "TAGS", "RETENTION_DAYS"]
    assert "and TABLES_HIDE_FIELDS would be left out" in done.lines[0]
    assert "and costcenter would be left out" in done.lines[2]
    assert "of raw, evidence, fewer days would be kept" in done.lines[3]


async def test_a_choice_that_goes_back_to_its_default(shell: CommandLine, azure: Standin) -> None:
    deployed = {
        "ASSIGN_ROLES": "false",
        "INSTANCE_MEMORY_MB": "4096",
        "MAXIMUM_INSTANCES": "100",
        "STORAGE_SKU": "Standard_GZRS",
        "UPDATE_STRATEGY": "RollingUpdate",
        "ZONE_REDUNDANT": "true",
    }
    deploy(azure.management, "prod-4", at="2026-11-04T10:00:00Z", outputs=VARIABLES | deployed)
    asked = dict.fromkeys(deployed, "")
    done = await preflight(shell, azure, **VARIABLES | asked)
    assert (done.status, about(done), done.errors) == (1, sorted(deployed), "")
    assert (
        "'Standard_GZRS' is deployed, and Standard_ZRS would take its place: azd env set STORAGE_SKU '" in done.output
    )
    assert "ASSIGN_ROLES: 'false' is deployed" in done.output
    chosen = {
        "ASSIGN_ROLES": "true",
        "INSTANCE_MEMORY_MB": "2048",
        "MAXIMUM_INSTANCES": "1",
        "UPDATE_STRATEGY": "Recreate",
    }
    done = await preflight(
        shell, azure, **VARIABLES | chosen | {"STORAGE_SKU": "Standard_ZRS", "ZONE_REDUNDANT": "false"}
    )
    assert done == Done(0, "", "")


async def test_values_that_the_parameter_file_refuses_make_no_noise(shell: CommandLine, azure: Standin) -> None:
    wrong = {"ALLOWED_IP_RANGES": "office, 1.2.3,203.0.113.0/x", "MONTHLY_BUDGET_FROM": "soon"}
    deploy(azure.management, "prod-4", at="2026-11-04T10:00:00Z", outputs=VARIABLES | {"MONTHLY_BUDGET_FROM": ""})
    done = await preflight(shell, azure, **VARIABLES | wrong)
    assert (done.status, about(done), done.errors) == (1, ["ALLOWED_IP_RANGES"], "")


async def test_the_first_day_of_a_budget(shell: CommandLine, azure: Standin) -> None:
    """A deployment without a budget leaves the one that is there in Azure."""
    deploy(azure.management, "prod-4", at="2026-11-04T10:00:00Z", outputs=VARIABLES | {"MONTHLY_BUDGET_FROM": ""})
    far = f"{datetime.now(UTC).year + 2}-01-01"
    done = await preflight(shell, azure, **VARIABLES | {"MONTHLY_BUDGET_FROM": far})
    assert (done.status, about(done)) == (1, ["MONTHLY_BUDGET_FROM"])
    assert f"{far} is more than a year away" in done.output
    done = await preflight(shell, azure, **VARIABLES | {"MONTHLY_BUDGET_FROM": THIS_MONTH})
    assert done == Done(0, "", "")

    for name, began in (("budget-test-abcde", "2026-03-01"), ("budget-test-x-abcde", "2025-01-01")):
        azure.management.put(
            f"{GROUP_ID}/providers/Microsoft.Consumption/budgets/{name}",
            properties={"timePeriod": {"startDate": f"{began}T00:00:00Z"}},
        )
    done = await preflight(shell, azure, **VARIABLES | {"MONTHLY_BUDGET_FROM": THIS_MONTH})
    assert (done.status, about(done)) == (1, ["MONTHLY_BUDGET_FROM"])
    assert "azd env set MONTHLY_BUDGET_FROM 2026-03-01" in done.output
    done = await preflight(shell, azure, **VARIABLES | {"MONTHLY_BUDGET_FROM": "2026-03-01"})
    assert done == Done(0, "", "")


async def test_what_was_changed_by_hand_since(shell: CommandLine, azure: Standin) -> None:
    """A conversion of storage, and a policy that was locked, need no deployment of their own."""
    outputs = VARIABLES | {"DATA_STORAGE_ACCOUNT": "stdata", "EVIDENCE_LOCKED": "false", "STORAGE_SKU": "Standard_LRS"}
    account = f"{GROUP_ID}/providers/Microsoft.Storage/storageAccounts/stdata"
    policy = f"{account}/blobServices/default/containers/opus-evidence/immutabilityPolicies/default"
    deploy(azure.management, "prod-4", at="2026-11-04T10:00:00Z", outputs=outputs)
    azure.management.put(account, sku={"name": "Standard_LRS"}, properties={})
    done = await preflight(shell, azure, **VARIABLES)
    assert (done.status, about(done)) == (1, ["STORAGE_SKU"])

    azure.management.put(account, sku={"name": "Standard_ZRS"}, properties={})
    azure.management.put(policy, properties={"state": "Unlocked", "immutabilityPeriodSinceCreationInDays": 2555})
    asked = VARIABLES | {"EVIDENCE_LOCKED": ""}
    done = await preflight(shell, azure, **asked)
    assert done == Done(0, "", "")
    azure.management.put(policy, properties={"state": "Locked", "immutabilityPeriodSinceCreationInDays": 2555})
    done = await preflight(shell, azure, **asked)
    assert (done.status, about(done)) == (1, ["EVIDENCE_LOCKED"])
    assert "azd env set EVIDENCE_LOCKED true" in done.output


async def test_a_secret_of_another_name_and_one_that_has_ended(shell: CommandLine, azure: Standin) -> None:
    async def bin_of_the_vault(_: Request) -> Response:
        names = ("opus", "avepoint-client-secret")
        return JSONResponse({"value": [{"id": f"https://{VAULT}.vault.azure.test/secrets/{name}"} for name in names]})

    azure.services[".vault.azure.test"] = bin_of_the_vault
    named = {"APP_SETTINGS": '{"HARVEST_GRAPH_DATASETS": "*", "AVEPOINT_CLIENT_SECRET_NAME" : "opus"}'}
    done = await preflight(shell, azure, **VARIABLES | named, AVEPOINT_CLIENT_SECRET_EXPIRES_ON="2020-01-31")
    assert (done.status, about(done)) == (1, ["opus"])

    resources = azure.management.resources
    del resources[GROUP_ID.lower()]
    secret = {"AVEPOINT_CLIENT_SECRET": "secret", "AZURE_LOCATION": "westeurope"}
    done = await preflight(shell, azure, **REQUIRED, **secret, AVEPOINT_CLIENT_SECRET_EXPIRES_ON="2020-01-31T18:00:00Z")
    assert (done.status, about(done)) == (1, ["AVEPOINT_CLIENT_SECRET_EXPIRES_ON"])
    done = await preflight(shell, azure, **REQUIRED, **secret, AVEPOINT_CLIENT_SECRET_EXPIRES_ON="2999-12-31")
    assert done == Done(0, "", "")


async def test_operations_on_later_pages(shell: CommandLine, azure: Standin) -> None:
    async def operations(request: Request) -> Response:
        after = request.query_params.get("after")
        status = {None: "Succeeded", "one": "Running", "two": "Succeeded"}[after]
        more = {None: "one", "one": "two"}.get(after) if request.query_params["date"] == ago(0) else None
        link = {"nextLink": f"https://gateway.example/api/operations?date=2026-11-30&after={more}"} if more else {}
        return JSONResponse({"value": [{"status": status}]} | link)

    azure.services[".sites.azure.test"] = operations
    done = await preflight(shell, azure, **VARIABLES, APP_KEY="key-of-the-app")
    assert (done.status, about(done), done.errors) == (1, [SITE], "")
    assert "operations at work: 1" in done.output


@pytest.mark.parametrize(
    ("sign_in", "deployed", "header"),
    [
        ({"APP_TOKEN": "the.token\r\n"}, VARIABLES["ENTRA_CLIENT_ID"], "Authorization: Bearer the.token"),
        ({"APP_KEY": "key", "APP_TOKEN": "the.token"}, VARIABLES["ENTRA_CLIENT_ID"], "Authorization: Bearer the.token"),
        ({"APP_KEY": "key", "APP_TOKEN": "the.token"}, "", "x-functions-key: key"),
    ],
)
async def test_operations_at_work_where_callers_sign_in(
    shell: CommandLine, azure: Standin, sign_in: dict[str, str], deployed: str, header: str
) -> None:
    """An app with sign-in takes no key, and one without it no token."""
    name, value = header.split(": ")

    async def operations(request: Request) -> Response:
        assert request.headers[name] == value
        assert len({"authorization", "x-functions-key"}.intersection(request.headers)) == 1
        return JSONResponse({"value": [{"status": "Running"}] if request.query_params["date"] == ago(1) else []})

    outputs = VARIABLES | {"FUNCTION_APP_NAME": SITE, "FUNCTION_APP_URL": f"https://{SITE}.sites.azure.test"}
    deploy(azure.management, "prod-4", at="2026-11-04T10:00:00Z", outputs=outputs | {"ENTRA_CLIENT_ID": deployed})
    azure.services[".sites.azure.test"] = operations
    done = await preflight(shell, azure, **VARIABLES, **sign_in)
    assert (done.status, about(done), done.errors) == (1, [SITE], "")
    assert "operations at work: 1" in done.output
    variable = "APP_TOKEN" if name == "Authorization" else "APP_KEY"
    assert f'<<<"{header.removesuffix(sign_in[variable].strip())}${variable}"' in done.output
    assert "the.token" not in done.output


async def test_a_key_where_callers_sign_in(shell: CommandLine, azure: Standin) -> None:
    async def operations(_: Request) -> Response:
        return JSONResponse({"error": {"code": "Unauthorized"}}, 401)

    azure.services[".sites.azure.test"] = operations
    done = await preflight(shell, azure, **VARIABLES, APP_KEY="key")
    assert (done.status, done.output) == (0, "")
    assert done.errors.startswith("not looked at: operations at work")
    assert "APP_TOKEN" in done.errors


async def test_what_may_not_be_looked_at_is_said_and_stops_nothing(shell: CommandLine, azure: Standin) -> None:
    azure.management.refused |= {"geoRegions", "skus", "deletedVaults", "permissions", "vnet-hub"}
    done = await preflight(shell, azure, **VARIABLES, APP_KEY="key", AVEPOINT_CLIENT_SECRET="secret")
    assert (done.status, done.output) == (0, "")
    notes = done.errors.splitlines()
    assert len(notes) == 9
    assert all(note.startswith("not looked at: ") for note in notes)


async def test_without_az_or_sign_in_it_cannot_look(shell: CommandLine, azure: Standin, tmp_path: Path) -> None:
    done = await preflight(shell, azure, **VARIABLES, AZURE_CONFIG_DIR=str(tmp_path))
    assert (done.status, done.output, done.errors) == (2, "", "az is not signed in: az login\n")

    for tool in ("bash", "dirname", "mktemp", "rm"):
        (tmp_path / tool).symlink_to(shutil.which(tool) or "")
    done = await preflight(shell, azure, **VARIABLES, PATH=str(tmp_path))
    assert (done.status, done.output) == (2, "")
    assert done.errors.startswith("az is not here")

    azure.management.refused.add("/deployments")
    done = await preflight(shell, azure, **VARIABLES)
    assert (done.status, done.output) == (2, "")
    assert done.errors.startswith("rg-test: its deployments cannot be read: ERROR: (AuthorizationFailed)")

    done = await preflight(shell, azure)
    assert (done.status, done.output) == (2, "")
    assert "azd env set AZURE_ENV_NAME" in done.errors


async def test_the_subscription_and_the_group_that_are_named(shell: CommandLine, azure: Standin) -> None:
    done = await preflight(shell, azure, **VARIABLES, AZURE_SUBSCRIPTION_ID="another")
    assert (done.status, done.errors) == (2, "az is not signed in to another: az login\n")
    done = await preflight(shell, azure, **VARIABLES, AZURE_RESOURCE_GROUP="RG-Test")
    assert done == Done(0, "", "")
    azure.management.put(f"{ROOT_ID}/resourceGroups/rg-other", location="westeurope")
    done = await preflight(shell, azure, **REQUIRED, AZURE_RESOURCE_GROUP="rg-other")
    assert (done.status, done.output) == (0, "")


def test_no_secret_stands_on_a_command_line() -> None:
    for script in Path("infra").rglob("*.sh"):
        for command in re.findall(r"^ *(?:\w+=\$\()?(?:az|azure|curl) .*$", script.read_text(), re.MULTILINE):
            assert not re.search(r"\$\{?(APP_KEY|APP_TOKEN|AVEPOINT_CLIENT_SECRET)", command), command
