"""The function app on Flex Consumption, who may call it, and the Logic App that does."""

import json

from functions.http.auth import ANYBODY, ROLES, Role
from tests.infra.conftest import GROUP, HOST, NAME, SITE
from tests.infra.environments import CALLERS, HUB
from tests.infra.paths import INFRA
from tests.infra.snapshot import Snapshot, at, items


def site_of(deployment: Snapshot) -> str:
    return deployment.one("Microsoft.Web/sites").name


class TestApp:
    def test_flex_consumption(self, each: Snapshot) -> None:
        plan = each.one("Microsoft.Web/serverfarms")
        assert plan.body["sku"] == {"name": "FC1", "tier": "FlexConsumption"}
        assert plan.at("reserved") is True

    def test_python_from_a_container_by_identity(self, public: Snapshot) -> None:
        site = public.named(SITE)
        identity = f"{GROUP}/Microsoft.ManagedIdentity/userAssignedIdentities/id-{NAME}"
        assert site.body["kind"] == "functionapp,linux"
        assert at(site.body, "identity") == {"type": "UserAssigned", "userAssignedIdentities": {identity: {}}}
        assert site.at("functionAppConfig.runtime") == {"name": "python", "version": "3.13"}
        storage = site.at("functionAppConfig.deployment.storage")
        assert at(storage, "type") == "blobContainer"
        assert f"storageAccounts/{HOST}'" in str(at(storage, "value"))
        assert str(at(storage, "value")).endswith("primaryEndpoints.blob, 'app-package')]")
        assert at(storage, "authentication") == {
            "type": "UserAssignedIdentity",
            "userAssignedIdentityResourceId": identity,
        }
        assert site.at("functionAppConfig.scaleAndConcurrency") == {
            "maximumInstanceCount": 40,
            "instanceMemoryMB": 2048,
            "triggers": {"http": {"perInstanceConcurrency": 16}},
        }

    def test_an_identity_from_outside_is_all_there_is(self, landing_zone: Snapshot) -> None:
        identity = f"{HUB}/Microsoft.ManagedIdentity/userAssignedIdentities/opus"
        assert landing_zone.of_type("Microsoft.ManagedIdentity/userAssignedIdentities") == []
        assert at(landing_zone.one("Microsoft.Web/sites").body, "identity.userAssignedIdentities") == {identity: {}}

    def test_nothing_that_flex_consumption_refuses(self, each: Snapshot) -> None:
        site = each.one("Microsoft.Web/sites")
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

    def test_tls_and_no_passwords(self, each: Snapshot) -> None:
        site = each.one("Microsoft.Web/sites")
        assert site.at("httpsOnly") is True
        assert (site.at("siteConfig.minTlsVersion"), site.at("siteConfig.scmMinTlsVersion")) == ("1.2", "1.2")
        policy = each.one("Microsoft.Web/sites/basicPublishingCredentialsPolicies")
        assert (policy.name, policy.at("allow")) == (f"{site.name}/scm", False)

    def test_how_a_deployment_replaces_what_runs(self, public: Snapshot, private: Snapshot) -> None:
        """The default is not sent: the other one is a preview."""
        assert public.named(SITE).at("functionAppConfig.siteUpdateStrategy") is None
        assert private.named(SITE).at("functionAppConfig.siteUpdateStrategy") == {"type": "RollingUpdate"}

    def test_zones(self, public: Snapshot, private: Snapshot) -> None:
        assert public.one("Microsoft.Web/serverfarms").at("zoneRedundant") is False
        assert private.one("Microsoft.Web/serverfarms").at("zoneRedundant") is True

    def test_callers_sign_in_where_an_app_registration_is_given(self, private: Snapshot) -> None:
        easy_auth = private.named(f"{SITE}/authsettingsV2")
        entra = easy_auth.at("identityProviders.azureActiveDirectory")
        assert easy_auth.at("platform.enabled") is True
        assert at(entra, "registration.clientId") == CALLERS
        assert "environment().authentication.loginEndpoint" in str(at(entra, "registration.openIdIssuer"))
        assert at(entra, "validation.allowedAudiences") == [CALLERS, f"api://{CALLERS}"]

    def test_nothing_is_open_by_accident_to_who_has_not_signed_in(
        self, private: Snapshot, routes: dict[str, str | None]
    ) -> None:
        easy_auth = private.named(f"{SITE}/authsettingsV2")
        assert easy_auth.at("globalValidation.unauthenticatedClientAction") == "AllowAnonymous"
        assert {name for name, route in routes.items() if route} == ROLES.keys()
        without_data = {"status_page", "status_file"}
        assert {name for name, roles in ROLES.items() if roles is ANYBODY} == {
            "health",
            "poll_operation",
            *without_data,
        }

    def test_the_app_roles_are_those_the_app_asks_for(self) -> None:
        declared = json.loads((INFRA / "app-roles.json").read_text())
        assert {role["value"] for role in declared} == set(Role)
        assert len({role["id"] for role in declared}) == len(Role)
        assert all(role["allowedMemberTypes"] == ["User", "Application"] and role["isEnabled"] for role in declared)

    def test_and_use_function_keys_where_none_is(self, public: Snapshot) -> None:
        easy_auth = public.named(f"{SITE}/authsettingsV2")
        assert easy_auth.at("platform.enabled") is False
        assert easy_auth.at("identityProviders") == {}

    def test_address_ranges(self, public: Snapshot, private: Snapshot) -> None:
        restricted = private.named(SITE)
        assert restricted.at("siteConfig.ipSecurityRestrictionsDefaultAction") == "Deny"
        rules = items(restricted.at("siteConfig.ipSecurityRestrictions"))
        assert [(at(rule, "ipAddress"), at(rule, "action"), at(rule, "priority")) for rule in rules] == [
            ("203.0.113.0/24", "Allow", 100),
            ("198.51.100.7/32", "Allow", 101),
        ]
        assert public.named(SITE).at("siteConfig.ipSecurityRestrictionsDefaultAction") == "Allow"
        assert public.named(SITE).at("siteConfig.ipSecurityRestrictions") == []


class TestLogicApp:
    def test_it_signs_in_with_its_own_identity(self, private: Snapshot) -> None:
        sample = private.one("Microsoft.Logic/workflows")
        harvest = at(sample.body, "properties.definition.actions.Harvest.inputs")
        assert sample.body["identity"] == {"type": "SystemAssigned"}
        assert at(harvest, "authentication.type") == "ManagedServiceIdentity"
        assert at(sample.body, "properties.parameters.audience.value") == f"api://{CALLERS}"
        assert private.outputs["LOGIC_APP_PRINCIPAL_ID"]

    def test_it_is_made_on_request(self, public: Snapshot) -> None:
        assert not public.of_type("Microsoft.Logic/workflows")
        assert public.outputs["LOGIC_APP_PRINCIPAL_ID"] == ""
