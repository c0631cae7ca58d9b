"""The pipelines: well formed, without secrets of Azure, and in the right order."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.infra.bicep import INFRA, ROOT
from tests.infra.deployment import deploy, parameters

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TOOLS = Path(sys.executable).parent

type Step = dict[str, object]


def load(name: str) -> Any:  # noqa: ANN401 - whatever a workflow holds; its schema is checked below
    return yaml.load((ROOT / ".github" / "workflows" / name).read_text(), Loader=yaml.BaseLoader)  # noqa: S506 - makes text only


def steps(workflow: str, job: str) -> list[Step]:
    found: list[Step] = load(workflow)["jobs"][job]["steps"]
    return found


def scripts(path: Path) -> dict[str, str]:
    """The shell of every step."""
    return {
        f"{job}[{index}]": str(step["run"])
        for job in load(path.name)["jobs"]
        for index, step in enumerate(steps(path.name, job))
        if "run" in step
    }


def commands(job: str) -> list[str]:
    return [str(step.get("run") or step.get("uses")) for step in steps("deploy.yml", job)]


def checked(tool: str, *arguments: str, text: str = "") -> None:
    done = subprocess.run(  # noqa: S603 - our own tools
        [TOOLS / tool, *arguments], input=text, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_github_takes_them() -> None:
    checked("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *map(str, WORKFLOWS))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_shellcheck_takes_their_scripts(path: Path) -> None:
    for script in scripts(path).values():
        checked("shellcheck", "--shell=bash", "-", text=script)


def test_shellcheck_takes_the_smoke_check() -> None:
    checked("shellcheck", str(INFRA / "smoke.sh"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_values_reach_scripts_through_the_environment_only(path: Path) -> None:
    assert [name for name, script in scripts(path).items() if "${{" in script] == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_come_from_github_and_azure(path: Path) -> None:
    actions = re.findall(r"uses: (\S+)", path.read_text())
    assert actions
    assert all(re.fullmatch(r"(actions|azure)/[\w-]+@v\d+", action) for action in actions)


class TestCheck:
    def test_it_runs_what_a_change_has_to_pass(self) -> None:
        assert "pull_request" in load("check.yml")["on"]
        assert scripts(ROOT / ".github/workflows/check.yml") == {"check[2]": ".ci/run"}

    def test_it_may_only_read(self) -> None:
        assert load("check.yml")["permissions"] == {"contents": "read"}


class TestDeploy:
    def test_it_signs_in_by_federation_without_any_secret(self) -> None:
        assert load("deploy.yml")["permissions"] == {"contents": "read", "id-token": "write"}
        for job in ("what-if", "deploy"):
            (login,) = (step for step in steps("deploy.yml", job) if str(step.get("uses")).startswith("azure/login"))
            assert login["with"] == {
                "client-id": "${{ vars.AZURE_CLIENT_ID }}",
                "tenant-id": "${{ vars.AZURE_TENANT_ID }}",
                "subscription-id": "${{ vars.AZURE_SUBSCRIPTION_ID }}",
            }

    def test_what_would_change_is_shown_before_anybody_agrees(self) -> None:
        jobs = load("deploy.yml")["jobs"]
        assert any("az deployment sub what-if" in command for command in commands("what-if"))
        assert jobs["deploy"]["needs"] == "what-if"
        assert "environment" not in jobs["what-if"]
        assert jobs["deploy"]["environment"] == {
            "name": "production",
            "url": "${{ steps.infra.outputs.FUNCTION_APP_URL }}",
        }

    def test_infrastructure_then_app_then_smoke_check(self) -> None:
        wanted = ("az deployment sub create", "source config-zip", "infra/smoke.sh")
        order = [next(i for i, command in enumerate(commands("deploy")) if part in command) for part in wanted]
        assert order == sorted(order)

    def test_the_package_is_built_remotely_of_what_runs(self) -> None:
        (command,) = (command for command in commands("deploy") if "zip --quiet" in command)
        assert "--build-remote true" in command
        shipped = re.search(r"app\.zip (.+)$", command, re.MULTILINE)
        ignored = (ROOT / ".funcignore").read_text().splitlines()[0]
        assert shipped is not None
        assert set(shipped[1].split()) == {
            name.strip("./") for name in ignored.split(": ")[1].replace(" and", ",").split(", ")
        }
        assert all((ROOT / name).exists() for name in shipped[1].split())

    def test_every_variable_of_the_parameter_file_is_given_and_no_other(self) -> None:
        read = set(re.findall(r"readEnvironmentVariable\('(\w+)'", (INFRA / "main.bicepparam").read_text()))
        for_all = load("deploy.yml")["env"].keys()
        for job, part in (("what-if", "what-if"), ("deploy", "sub create")):
            (step,) = (step for step in steps("deploy.yml", job) if f"{part} " in str(step.get("run")))
            assert isinstance(step["env"], dict)
            assert for_all | step["env"].keys() == read

    def test_variables_that_are_not_set_come_as_nothing_and_do_no_harm(self) -> None:
        given = {
            name: (re.search(r"\|\| '(.*)' }}", value) or ("", ""))[1]
            for name, value in load("deploy.yml")["env"].items()
        }
        required = {"AZURE_ENV_NAME": "prod", "AZURE_LOCATION": "westeurope", "AVEPOINT_DATA_CENTER": "we"}
        assert deploy(parameters(INFRA / "main.bicepparam", given | required)).outputs

    def test_the_secret_is_seen_by_no_other_step(self) -> None:
        assert not [name for name, value in load("deploy.yml")["env"].items() if "secrets." in str(value)]
        seen = [step for job in ("what-if", "deploy") for step in steps("deploy.yml", job) if "secrets." in str(step)]
        assert len(seen) == 2

    @pytest.mark.skipif(shutil.which("jq") is None, reason="jq is on GitHub's runners, and not everywhere")
    def test_outputs_come_back_under_their_names(self, tmp_path: Path) -> None:
        (command,) = (command for command in commands("deploy") if "az deployment sub create" in command)
        (tmp_path / "outputs.json").write_text(json.dumps({"azurE_RESOURCE_GROUP": {"type": "String", "value": "rg"}}))
        subprocess.run(  # noqa: S603 - our own script
            ["/bin/bash", "-ec", command.splitlines()[-1]],
            cwd=tmp_path,
            env={"GITHUB_OUTPUT": "out", "PATH": f"{Path(shutil.which('jq') or '').parent}"},
            check=True,
        )
        assert (tmp_path / "out").read_text() == "AZURE_RESOURCE_GROUP=rg\n"
