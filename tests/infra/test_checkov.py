"""A scanner that companies run over templates, with every exception named and reasoned."""

import json
import subprocess

import pytest

from sandbox.processes import ROOT
from tests.infra.environments import ENVIRONMENTS
from tests.infra.paths import SNAPSHOTS
from tests.infra.snapshot import Snapshot
from tests.require import require

pytestmark = pytest.mark.slow

_OTHER_PLANS = "Flex Consumption has no such setting"
_ROUTED = "the rule looks at each child of the site too, which has no such property"
ALWAYS = {
    "CKV_AZURE_13": f"sign-in is ENTRA_CLIENT_ID, and function keys are the other way; {_ROUTED}",
    "CKV_AZURE_17": "flows, Logic Apps and connectors have no client certificate to show",
    "CKV_AZURE_63": f"the host logs every request to Application Insights; {_OTHER_PLANS}",
    "CKV_AZURE_65": f"the app answers with errors of its own; {_OTHER_PLANS}",
    "CKV_AZURE_66": f"the host traces every request to Application Insights; {_OTHER_PLANS}",
    "CKV_AZURE_78": "there is no FTP on Flex Consumption, and passwords are off",
    "CKV_AZURE_80": "the app is Python",
    "CKV_AZURE_88": "nothing is kept in Azure Files, which would want a shared key",
    "CKV_AZURE_206": "Standard_ZRS is the default, with copies in three zones; STORAGE_SKU offers two regions",
    "CKV_AZURE_212": "instances come with the work; an idle app has none, and costs nothing",
    "CKV_AZURE_213": f"instances that fail are replaced by the platform; {_OTHER_PLANS}",
    "CKV_AZURE_222": f"NETWORK=private closes the site; {_ROUTED}",
}
NO_ZONES = {"CKV_AZURE_225": "ZONE_REDUNDANT=true: the private snapshot has it"}
NO_BYPASS = {"CKV_AZURE_36": "no service of Azure needs a way round the firewall, and policies of companies deny one"}
OPEN = {
    "CKV_AZURE_35": "NETWORK=private closes it",
    "CKV_AZURE_59": "no container is public; the rule means the network, which NETWORK=private closes",
    "CKV_AZURE_109": "NETWORK=private closes it",
    "CKV_AZURE_189": "NETWORK=private closes it",
}
EXCEPTIONS = {
    "public": ALWAYS | NO_ZONES | OPEN,
    "private": ALWAYS | NO_BYPASS,
    "landing-zone": ALWAYS | NO_ZONES | NO_BYPASS,
}


def as_template(snapshot: Snapshot) -> str:
    """The resources of a snapshot, as a template that names them one by one."""
    resources = [{name: value for name, value in one.body.items() if name != "id"} for one in snapshot.resources]
    schema = "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#"
    return json.dumps({"$schema": schema, "contentVersion": "1.0.0.0", "resources": resources})


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """The rules that do not hold, for each snapshot."""
    folder = tmp_path_factory.mktemp("templates")
    for name in ENVIRONMENTS:
        (folder / f"{name}.json").write_text(as_template(Snapshot.read(SNAPSHOTS / f"{name}.json")))
    checkov = require("checkov", why="`make test-all` installs it", beside=ROOT / ".venv-az" / "bin")
    done = subprocess.run(  # noqa: S603 - the scanner, with our own files
        [checkov, "-d", folder, "--framework", "arm", "--skip-download", "--quiet", "--output", "json"],
        capture_output=True,
        text=True,
        check=False,
    )
    report = json.loads(done.stdout)
    assert report["summary"]["parsing_errors"] == 0
    assert report["summary"]["passed"] > 100
    failed = [(check["file_path"].strip("/"), check["check_id"]) for check in report["results"]["failed_checks"]]
    return {name: {rule for file, rule in failed if file == f"{name}.json"} for name in ENVIRONMENTS}


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_what_does_not_hold_is_an_exception_with_a_reason(findings: dict[str, set[str]], name: str) -> None:
    assert findings[name] == EXCEPTIONS[name].keys()
