"""The parameter file gives what infra/main.bicep asks for, and infra/README.md lists all of it."""

import re

import pytest

from tests.infra.bicep import INFRA, parts, read, text
from tests.infra.deployment import deploy, parameters

FILE = INFRA / "main.bicepparam"
MAIN = read(INFRA / "main.bicep")
PARAMETERS = MAIN.of_kind("param")
REQUIRED = {
    "AZURE_ENV_NAME": "prod",
    "AZURE_LOCATION": "westeurope",
    "AVEPOINT_DATA_CENTER": "we",
    "AVEPOINT_CLIENT_ID": "client",
}
README = (INFRA / "README.md").read_text()
DOCUMENTED = {
    name: (default.strip(), meaning.strip())
    for name, default, meaning in re.findall(r"^\| `(\w+)` \| (.*?) \| (.*?) \|$", README, re.MULTILINE)
}


def test_it_is_for_this_template() -> None:
    assert FILE.read_text().startswith("using './main.bicep'\n")


def test_what_has_to_be_given_is_given_and_nothing_unknown() -> None:
    given = parameters(FILE, REQUIRED)
    assert {name for name, found in PARAMETERS.items() if found.default is None} <= given.keys() <= PARAMETERS.keys()


def test_four_variables_are_enough() -> None:
    deployment = deploy(parameters(FILE, REQUIRED))
    assert deployment.outputs["AZURE_RESOURCE_GROUP"] == "rg-prod"
    assert not deployment.of_type("Microsoft.KeyVault/vaults/secrets")


@pytest.mark.parametrize("name", REQUIRED)
def test_and_all_four_are_needed(name: str) -> None:
    with pytest.raises(AssertionError, match=f"{name} is not set"):
        parameters(FILE, {other: value for other, value in REQUIRED.items() if other != name})


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        (
            {"AVEPOINT_CLIENT_SECRET": "s", "AVEPOINT_CLIENT_SECRET_EXPIRES_ON": "2027-01-31T00:00:00Z"},
            {"secrets": {"avepoint-client-secret": "s"}, "secretsExpireOn": "2027-01-31T00:00:00Z"},
        ),
        ({"ALERT_EMAILS": "a@contoso.com,b@contoso.com"}, {"alertEmails": ["a@contoso.com", "b@contoso.com"]}),
        ({"ALERT_EMAILS": ""}, {"alertEmails": []}),
        ({"ALLOWED_IP_RANGES": "203.0.113.0/24"}, {"allowedIpRanges": ["203.0.113.0/24"]}),
        ({"NETWORK": "private", "ENTRA_CLIENT_ID": "e"}, {"network": "private", "entraClientId": "e"}),
        (
            {"AZURE_PRINCIPAL_ID": "p", "AZURE_PRINCIPAL_TYPE": "Group"},
            {"administratorPrincipalId": "p", "administratorPrincipalType": "Group"},
        ),
        ({"EVIDENCE_LOCKED": "true"}, {"evidenceLocked": True}),
    ],
)
def test_variables_become_parameters(variables: dict[str, str], expected: dict[str, object]) -> None:
    assert expected.items() <= parameters(FILE, REQUIRED | variables).items()


def test_the_readme_lists_every_parameter_with_its_default_and_meaning() -> None:
    assert {
        name: (
            f"`{text(found.default)}`" if found.default else "*required*",
            text(parts(found.decorators["description"][0])[0]),
        )
        for name, found in PARAMETERS.items()
    } == DOCUMENTED


def test_the_readme_lists_every_output() -> None:
    outputs = set(re.findall(r"^\| `([A-Z_]+)` \|", README, re.MULTILINE))
    assert MAIN.of_kind("output").keys() <= outputs


def test_secrets_are_secure() -> None:
    assert [name for name, found in PARAMETERS.items() if "secure" in found.decorators] == ["secrets"]


def test_the_readme_lists_every_variable() -> None:
    variables = set(re.findall(r"readEnvironmentVariable\('(\w+)'", FILE.read_text()))
    assert [name for name in variables if f"`{name}`" not in README] == []
