"""Who is let in: every kind of principal, in both modes; the host around it is tested in tests/runtime/test_auth.py."""

import json
import logging
from base64 import b64encode

import azure.functions as func
import pytest

from functions import opus, runs
from functions.health import health_details
from functions.http import auth
from functions.http.auth import ROLES, Role, Unauthenticated, admit, caller
from shared.errors import Forbidden

OBJECT_ID = "http://schemas.microsoft.com/identity/claims/objectidentifier"
ROLE = "http://schemas.microsoft.com/ws/2008/06/identity/claims/role"
ANA = {"typ": OBJECT_ID, "val": "ana"}
MAY_DESTROY = {"typ": "roles", "val": "Records.Destroy"}


def encoded(told: object) -> str:
    return b64encode(json.dumps(told).encode()).decode()


def signed_in(*claims: dict[str, str], **told: object) -> str:
    """The header of App Service Authentication for somebody with these claims."""
    return encoded({"auth_typ": "aad", "claims": claims, "name_typ": "name", "role_typ": ROLE, **told})


def request(principal: str | None = None, method: str = "POST") -> func.HttpRequest:
    headers = {} if principal is None else {"X-MS-CLIENT-PRINCIPAL": principal, "X-MS-CLIENT-PRINCIPAL-ID": "bob"}
    return func.HttpRequest(method, "https://app.example/api/x", headers=headers, body=b"")


@pytest.fixture
def entra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "ENTRA", True)
    monkeypatch.setenv("WEBSITE_AUTH_ENABLED", "True")


@pytest.mark.usefixtures("entra")
class TestEntra:
    @pytest.mark.parametrize(
        "principal",
        [
            None,
            "",
            "not base64!",
            "ümlaut",
            b64encode(b"no json").decode(),
            b64encode(b"\xff").decode(),
            encoded([]),
            encoded({"auth_typ": "aad"}),
            signed_in(MAY_DESTROY),
            signed_in(MAY_DESTROY, {"typ": OBJECT_ID, "val": ""}),
            signed_in(ANA, {"typ": "roles"}),
            signed_in(ANA, MAY_DESTROY, auth_typ="github"),
            signed_in(ANA, MAY_DESTROY, auth_typ=None),
            signed_in(ANA, MAY_DESTROY) + "," + signed_in(ANA, MAY_DESTROY),
        ],
    )
    def test_what_proves_nobody_is_refused(self, principal: str | None) -> None:
        with pytest.raises(Unauthenticated):
            admit(request(principal), "destroy_records")
        with pytest.raises(Unauthenticated):
            caller(request(principal))

    @pytest.mark.parametrize("kind", ["roles", ROLE])
    def test_a_role_is_a_claim_of_either_type(self, kind: str) -> None:
        admit(
            request(signed_in(ANA, {"typ": "name", "val": "x"}, {"typ": kind, "val": "Records.Destroy"})),
            "destroy_records",
        )

    @pytest.mark.parametrize(
        "claims",
        [
            [],
            [{"typ": "roles", "val": "records.destroy"}],
            [{"typ": "roles", "val": "Records.Submit"}, {"typ": "roles", "val": "Inventory.Read"}],
            [{"typ": "scp", "val": "Records.Destroy"}],
            [{"typ": "groups", "val": "Records.Destroy"}],
        ],
    )
    def test_anything_else_is_no_role(self, claims: list[dict[str, str]], caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.WARNING), pytest.raises(Forbidden, match=r"the app role Records\.Destroy"):
            admit(request(signed_in(ANA, *claims)), "destroy_records")
        assert caplog.messages == ["call.forbidden function=destroy_records caller=ana"]

    @pytest.mark.parametrize("function", [name for name, roles in ROLES.items() if roles])
    def test_each_role_opens_what_the_table_says_and_nothing_else(self, function: str) -> None:
        for role in Role:
            principal = request(signed_in(ANA, {"typ": "roles", "val": role}))
            if role in (ROLES[function] or ()):
                admit(principal, function)
            else:
                with pytest.raises(Forbidden):
                    admit(principal, function)

    @pytest.mark.parametrize(
        ("claims", "expected"),
        [
            ([{"typ": "appid", "val": "app"}, ANA], "entra:ana"),
            ([{"typ": "appid", "val": "app"}, {"typ": "oid", "val": "ben"}], "entra:ben"),
            ([{"typ": "appid", "val": "app"}], "entra:app"),
            ([{"typ": "azp", "val": "app"}], "entra:app"),
        ],
    )
    def test_the_caller_is_the_object_id_or_else_the_app_id(self, claims: list[dict[str, str]], expected: str) -> None:
        assert caller(request(signed_in(*claims))) == expected

    @pytest.mark.parametrize("said", ["False", "", None])
    def test_no_header_is_believed_while_nobody_takes_it_out(
        self, said: str | None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if said is None:
            monkeypatch.delenv("WEBSITE_AUTH_ENABLED")
        else:
            monkeypatch.setenv("WEBSITE_AUTH_ENABLED", said)
        with pytest.raises(Unauthenticated, match="is off"):
            admit(request(signed_in(ANA, MAY_DESTROY)), "destroy_records")
        monkeypatch.setenv("WEBSITE_AUTH_ENABLED", "True")
        admit(request(signed_in(ANA, MAY_DESTROY)), "destroy_records")

    async def test_a_stranger_learns_nothing_of_settings_that_are_wrong(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AVEPOINT_CLIENT_ID", "")
        for function in (health_details, runs.list_runs, opus.submit_records):
            answer = await function(request())
            assert answer.status_code == 401
            assert answer.headers["WWW-Authenticate"] == "Bearer"
            assert b"AVEPOINT" not in answer.get_body()


class TestKey:
    @pytest.mark.parametrize("principal", [None, signed_in(ANA), "not base64!"])
    def test_principal_headers_mean_nothing(self, principal: str | None) -> None:
        for function in ROLES:
            admit(request(principal), function)
        assert caller(request(principal)) == "key"
