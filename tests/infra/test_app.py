"""The function app on Flex Consumption, who may call it, and the Logic App that does."""

import json

from functions.auth import ANYBODY, ROLES, Role
from tests.infra.bicep import INFRA
from tests.infra.conftest import EVERYTHING, HOST, SITE
from tests.infra.deployment import Deployment, at, deploy, items


class TestApp:
    def test_flex_consumption(self, either: Deployment) -> None:
        plan = either.one("Microsoft.Web/serverfarms")
        assert plan.body["sku"] == {"name": "FC1", "tier": "FlexConsumption"}
        assert plan.at("reserved") is True

    def test_python_from_a_container_by_identity(self, either: Deployment) -> None:
        site = either.named(SITE)
        identity = "Microsoft.ManagedIdentity/userAssignedIdentities/id-test-abcde"
        assert site.body["kind"] == "functionapp,linux"
        assert at(site.body, "identity") == {"type": "UserAssigned", "userAssignedIdentities": {identity: {}}}
        assert site.at("functionAppConfig.runtime") == {"name": "python", "version": "3.13"}
        assert site.at("functionAppConfig.deployment.storage") == {
            "type": "blobContainer",
            "value": f"Microsoft.Storage/storageAccounts/{HOST}.properties.primaryEndpoints.blobapp-package",
            "authentication": {"type": "UserAssignedIdentity", "userAssignedIdentityResourceId": identity},
        }
        assert site.at("functionAppConfig.scaleAndConcurrency") == {
            "maximumInstanceCount": 40,
            "instanceMemoryMB": 2048,
            "triggers": {"http": {"perInstanceConcurrency": 16}},
        }

    def test_nothing_that_flex_consumption_refuses(self, either: Deployment) -> None:
        site = either.named(SITE)
        refused = {
            "alwaysOn",
            "containerSize",
            "functionAppScaleLimit",
            "linuxFxVersion",
            "minimumElasticInstanceCount",
            "preWarmedInstanceCount",
            "pythonVersion",
            "use32BitWorkerProcess",
            "vnetContentShareEnabled",
            "vnetRouteAllEnabled",
        }
        set_here = site.body["properties"]
        assert isinstance(set_here, dict)
        assert isinstance(set_here["siteConfig"], dict)
        assert refused.isdisjoint({*set_here, *set_here["siteConfig"]})

    def test_tls_and_no_passwords(self, either: Deployment) -> None:
        site = either.named(SITE)
        assert site.at("httpsOnly") is True
        assert (site.at("siteConfig.minTlsVersion"), site.at("siteConfig.scmMinTlsVersion")) == ("1.2", "1.2")
        policies = either.of_type("Microsoft.Web/sites/basicPublishingCredentialsPolicies")
        assert {policy.name: policy.at("allow") for policy in policies} == {f"{SITE}/ftp": False, f"{SITE}/scm": False}

    def test_callers_sign_in_where_an_app_registration_is_given(self, full: Deployment) -> None:
        easy_auth = full.named(f"{SITE}/authsettingsV2")
        entra = easy_auth.at("identityProviders.azureActiveDirectory")
        assert easy_auth.at("platform.enabled") is True
        assert at(entra, "registration.clientId") == "entra"
        assert at(entra, "registration.openIdIssuer") == "https://login.microsoftonline.com/tenant/v2.0"
        assert at(entra, "validation.allowedAudiences") == ["entra", "api://entra"]

    def test_nothing_is_open_by_accident_to_who_has_not_signed_in(
        self, full: Deployment, routes: dict[str, str | None]
    ) -> None:
        easy_auth = full.named(f"{SITE}/authsettingsV2")
        assert easy_auth.at("globalValidation.unauthenticatedClientAction") == "AllowAnonymous"
        assert {name for name, route in routes.items() if route} == ROLES.keys()
        assert {name for name, roles in ROLES.items() if roles is ANYBODY} == {"health", "poll_operation"}

    def test_the_app_roles_are_those_the_app_asks_for(self) -> None:
        declared = json.loads((INFRA / "app-roles.json").read_text())
        assert {role["value"] for role in declared} == set(Role)
        assert len({role["id"] for role in declared}) == len(Role)
        assert all(role["allowedMemberTypes"] == ["User", "Application"] and role["isEnabled"] for role in declared)

    def test_and_use_function_keys_where_none_is(self, plain: Deployment) -> None:
        easy_auth = plain.named(f"{SITE}/authsettingsV2")
        assert easy_auth.at("platform.enabled") is False
        assert easy_auth.at("identityProviders") == {}

    def test_address_ranges(self, full: Deployment, plain: Deployment) -> None:
        restricted = full.named(SITE)
        assert restricted.at("siteConfig.ipSecurityRestrictionsDefaultAction") == "Deny"
        rules = items(restricted.at("siteConfig.ipSecurityRestrictions"))
        assert [(at(rule, "ipAddress"), at(rule, "action"), at(rule, "priority")) for rule in rules] == [
            ("203.0.113.0/24", "Allow", 100),
            ("198.51.100.7/32", "Allow", 101),
        ]
        assert plain.named(SITE).at("siteConfig.ipSecurityRestrictionsDefaultAction") == "Allow"
        assert plain.named(SITE).at("siteConfig.ipSecurityRestrictions") == []


class TestLogicApp:
    def test_it_signs_in_with_its_own_identity(self, full: Deployment) -> None:
        sample = full.one("Microsoft.Logic/workflows")
        harvest = at(sample.body, "properties.definition.actions.Harvest.inputs")
        assert sample.body["identity"] == {"type": "SystemAssigned"}
        assert at(harvest, "authentication.type") == "ManagedServiceIdentity"
        assert at(sample.body, "properties.parameters.audience.value") == "api://entra"
        assert full.outputs["LOGIC_APP_PRINCIPAL_ID"]

    def test_it_needs_callers_to_sign_in(self) -> None:
        with_keys = deploy(EVERYTHING | {"entraClientId": ""})
        assert not with_keys.of_type("Microsoft.Logic/workflows")
        assert with_keys.outputs["LOGIC_APP_PRINCIPAL_ID"] == ""
