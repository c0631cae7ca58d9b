"""The pipelines: well formed, with the least rights, without secrets where none is needed, and in the right order."""

import json
import re
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml

from sandbox.processes import ROOT
from tests.infra.pipelines import (
    AZURE_PIPELINES,
    WORKFLOWS,
    Step,
    azure_jobs,
    azure_pipelines,
    azure_steps,
    script,
    steps,
    workflow,
)
from tests.require import require

INFRA = ROOT / "infra"
TOOLS = Path(sys.executable).parent
JOBS = ("package", "preview", "infrastructure", "app")
SECRETS = {"AVEPOINT_CLIENT_SECRET", "APP_KEY"}
# An action at a commit, with the version that it is.
PINNED = r"(?:actions|azure)/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+"


def checked(tool: str, *arguments: str | Path, text: str = "") -> None:
    done = subprocess.run(  # noqa: S603 - our own tools
        [TOOLS / tool, *arguments], cwd=ROOT, input=text, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def scripts(path: Path) -> dict[str, str]:
    """The shell of every step of a workflow."""
    return {
        f"{job}[{index}]": script(step)
        for job in workflow(path.name)["jobs"]
        for index, step in enumerate(steps(path.name, job))
        if "run" in step
    }


def read_by_the_parameter_file() -> set[str]:
    return set(re.findall(r"readEnvironmentVariable\('(\w+)'", (INFRA / "main.bicepparam").read_text()))


def commands(of: list[Step]) -> list[str]:
    """Which commands do the work of a job: scripts of this project, make, az deployment."""
    return [
        command
        for step in of
        for command in re.findall(r"infra/\w+\.sh|make \w+|az deployment group \w+|zip --quiet", script(step))
    ]


def test_github_takes_them() -> None:
    checked("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *WORKFLOWS)


def test_azure_devops_takes_its_own() -> None:
    checked("check-jsonschema", "--builtin-schema", "vendor.azure-pipelines", AZURE_PIPELINES)


def test_zizmor_finds_nothing() -> None:
    checked("zizmor", "--offline", "--no-progress", ".github")


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_shellcheck_takes_their_scripts(path: Path) -> None:
    for text in scripts(path).values():
        checked("shellcheck", "--shell=bash", "-", text=text)


def test_shellcheck_takes_those_of_azure_devops() -> None:
    for job in JOBS:
        for step in filter(script, azure_steps(job)):
            checked("shellcheck", "--shell=bash", "-", text=script(step))


@pytest.mark.parametrize("path", sorted(INFRA.rglob("*.sh")), ids=lambda path: path.name)
def test_shellcheck_takes_the_scripts_of_infra(path: Path) -> None:
    checked("shellcheck", path)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_values_reach_scripts_through_the_environment_only(path: Path) -> None:
    assert [name for name, text in scripts(path).items() if "${{" in text] == []


def test_values_of_azure_devops_reach_scripts_through_the_environment_only() -> None:
    texts = [script(step) for job in JOBS for step in azure_steps(job)]
    assert [text for text in texts if re.search(r"\$\(\w+\)|\$\{\{", text)] == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_of_github_and_azure_at_a_commit(path: Path) -> None:
    actions = re.findall(r"uses: (.+)", path.read_text())
    assert actions
    assert [action for action in actions if not re.fullmatch(PINNED, action)] == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_no_job_has_rights_that_it_does_not_name(path: Path) -> None:
    assert workflow(path.name)["permissions"] == {}
    for job, content in workflow(path.name)["jobs"].items():
        signs_in = any(str(step.get("uses")).startswith("azure/login") for step in steps(path.name, job))
        assert content["permissions"] == {"contents": "read"} | ({"id-token": "write"} if signs_in else {})


def test_azd_looks_before_it_provisions() -> None:
    hook = yaml.safe_load((ROOT / "azure.yaml").read_text())["hooks"]["preprovision"]
    assert hook == {"shell": "sh", "run": "infra/preflight.sh"}


class TestCheck:
    def test_it_runs_what_a_change_has_to_pass_and_skips_nothing(self) -> None:
        assert "pull_request" in workflow("check.yml")["on"]
        *_, last = steps("check.yml", "check")
        assert last["run"] == ".ci/run"
        assert last["env"] == {"REQUIRE_ALL": "1"}
        assert any("az bicep install --version" in script(step) for step in steps("check.yml", "check"))


class TestDeploy:
    jobs = workflow("deploy.yml")["jobs"]

    def test_it_signs_in_by_federation_without_any_secret(self) -> None:
        for job in ("preview", "infrastructure", "app"):
            (login,) = (step for step in steps("deploy.yml", job) if str(step.get("uses")).startswith("azure/login"))
            assert login["with"] == {
                "client-id": "${{ vars.AZURE_CLIENT_ID }}",
                "tenant-id": "${{ vars.AZURE_TENANT_ID }}",
                "subscription-id": "${{ vars.AZURE_SUBSCRIPTION_ID }}",
            }

    def test_nothing_happens_before_it_is_set_up(self) -> None:
        assert {self.jobs[job]["if"] for job in ("package", "preview")} == {"vars.AZURE_SUBSCRIPTION_ID != ''"}

    def test_each_job_that_signs_in_has_an_environment_and_so_a_subject_of_its_own(self) -> None:
        assert "environment" not in self.jobs["package"]
        assert [self.jobs[job]["environment"] for job in ("preview", "infrastructure")] == ["preview", "production"]
        assert self.jobs["app"]["environment"]["name"] == "app"

    def test_somebody_agrees_or_starts_it(self) -> None:
        infrastructure = self.jobs["infrastructure"]
        assert infrastructure["needs"] == ["package", "preview"]
        assert infrastructure["if"] == "github.event_name == 'workflow_dispatch' || vars.DEPLOY_ON_PUSH == 'true'"
        assert self.jobs["app"]["needs"] == "infrastructure"

    def test_what_is_done(self) -> None:
        assert {job: commands(steps("deploy.yml", job)) for job in JOBS} == {
            "package": ["make sbom", "make package", "zip --quiet"],
            "preview": ["infra/preflight.sh", "infra/preview.sh"],
            "infrastructure": ["infra/preflight.sh", "az deployment group create"],
            "app": ["infra/upload.sh", "infra/smoke.sh"],
        }

    def test_the_list_of_what_is_in_the_package_goes_with_it(self) -> None:
        (upload,) = (step for step in steps("deploy.yml", "package") if "upload-artifact" in str(step.get("uses")))
        assert upload["with"]["path"].split() == ["package.zip", "sbom.json"]

    def test_a_run_that_waits_holds_up_no_other(self) -> None:
        assert "concurrency" not in workflow("deploy.yml")
        held = {job: content["concurrency"]["group"] for job, content in self.jobs.items() if "concurrency" in content}
        assert held == {"infrastructure": "deploy-infrastructure", "app": "deploy-app"}
        assert {self.jobs[job]["concurrency"]["cancel-in-progress"] for job in held} == {"false"}

    def test_infrastructure_from_anywhere_and_the_app_from_inside_its_network(self) -> None:
        assert self.jobs["app"]["runs-on"] == "${{ vars.RUNNER || 'ubuntu-24.04' }}"
        assert {self.jobs[job]["runs-on"] for job in JOBS[:3]} == {"ubuntu-24.04"}

    @pytest.mark.parametrize(
        ("path", "deploys"),
        [
            ("docs/operations.md", False),
            ("README.md", False),
            ("infra/README.md", False),
            ("infra/azure-pipelines.yml", False),
            ("tests/infra/test_workflows.py", False),
            ("sandbox/demo.py", False),
            ("requirements-dev.txt", False),
            ("requirements.txt", True),
            ("shared/avepoint/catalog/graph.toml", True),
            ("functions/opus.py", True),
            ("infra/modules/app.bicep", True),
            ("host.json", True),
        ],
    )
    def test_pages_and_tests_deploy_nothing(self, path: str, *, deploys: bool) -> None:
        """GitHub takes the last pattern that matches."""
        matching = [
            not pattern.startswith("!")
            for pattern in workflow("deploy.yml")["on"]["push"]["paths"]
            if fnmatch(path, pattern.lstrip("!").replace("**", "*"))
        ]
        assert (matching or [False])[-1] is deploys

    def test_everything_that_is_shipped_starts_a_deployment(self) -> None:
        packed = next(text for text in map(script, steps("deploy.yml", "package")) if "zip --quiet" in text)
        shipped = re.findall(r"package\.zip (.+)$", packed, re.MULTILINE)[0].split()
        assert all((ROOT / name).exists() for name in shipped)
        names = {pattern.removesuffix("/**") for pattern in workflow("deploy.yml")["on"]["push"]["paths"]}
        assert set(shipped) <= names
        ignored = (ROOT / ".funcignore").read_text().splitlines()[0].split(": ")[1]
        assert set(shipped) == {name.strip("./") for name in ignored.replace(" and", ",").split(", ")}

    def test_every_variable_of_the_parameter_file_is_given(self) -> None:
        given = set(workflow("deploy.yml")["env"]) - {"ALLOW_WEAKER", "BICEP", "AZURE_RESOURCE_GROUP"}
        assert given == read_by_the_parameter_file() - SECRETS

    def test_the_variables_are_those_of_the_repository(self) -> None:
        others = {"ALLOW_WEAKER": "${{ inputs.allow_weaker }}", "BICEP": "v0.49.2"}
        for name, value in workflow("deploy.yml")["env"].items():
            assert value == others.get(name, f"${{{{ vars.{name} }}}}")

    def test_each_secret_is_seen_by_one_step_after_somebody_agreed(self) -> None:
        seen = [
            (job, name)
            for job in JOBS
            for step in steps("deploy.yml", job)
            for name, value in step.get("env", {}).items()
            if "secrets." in value
        ]
        assert sorted(seen) == [("infrastructure", name) for name in sorted(SECRETS)]
        assert (ROOT / ".github/workflows/deploy.yml").read_text().count("secrets.") == len(SECRETS)

    def test_outputs_come_back_under_their_names(self, tmp_path: Path) -> None:
        require("jq", why="the pipeline reads outputs with it")
        written = {
            "azurE_RESOURCE_GROUP": "rg",
            "functioN_APP_NAME": "f",
            "functioN_APP_URL": "u",
            "apP_SETTINGS": "{\n}",
        }
        outputs = {name: {"type": "String", "value": value} for name, value in written.items()}
        (tmp_path / "outputs.json").write_text(json.dumps(outputs))
        (text,) = (one for one in map(script, steps("deploy.yml", "infrastructure")) if "az deployment" in one)
        subprocess.run(  # noqa: S603 - our own script
            ["/bin/bash", "-ec", text[text.index("jq ") :]],
            cwd=tmp_path,
            env={"GITHUB_OUTPUT": "out", "RUNNER_TEMP": ".", "PATH": f"{Path(require('jq', why='')).parent}"},
            check=True,
        )
        assert (tmp_path / "out").read_text() == "AZURE_RESOURCE_GROUP=rg\nFUNCTION_APP_NAME=f\nFUNCTION_APP_URL=u\n"


class TestAzureDevOps:
    def test_it_does_what_the_workflow_does(self) -> None:
        assert list(azure_jobs()) == list(JOBS)
        for job in JOBS:
            assert commands(azure_steps(job)) == commands(steps("deploy.yml", job))

    def test_it_is_started_by_hand(self) -> None:
        assert azure_pipelines()["trigger"] == azure_pipelines()["pr"] == "none"

    def test_each_secret_is_seen_by_one_step_after_somebody_agreed(self) -> None:
        seen = [(job, name) for job in JOBS for step in azure_steps(job) for name in step.get("env", {})]
        assert sorted(seen) == [("infrastructure", name) for name in sorted(SECRETS)]

    def test_a_secret_that_is_not_there_is_none(self) -> None:
        """Azure DevOps then gives the name in place of a value."""
        for step in azure_steps("infrastructure"):
            for name in step.get("env", {}):
                (guard,) = re.findall(rf"^case \${name} in .*esac$", script(step), re.MULTILINE)
                for value, left in ((f"$({name})", ""), ("word", "word")):
                    told = subprocess.run(  # noqa: S603 - our own script
                        ["/bin/bash", "-uc", f'{guard}\necho "${{{name}-}}"'],
                        env={name: value},
                        capture_output=True,
                        text=True,
                        check=True,
                    )
                    assert told.stdout == f"{left}\n"

    def test_somebody_agrees_and_the_app_goes_through_agents_inside(self) -> None:
        jobs = azure_jobs()
        assert jobs["infrastructure"]["environment"] == "production"
        assert jobs["app"]["pool"] == "${{ parameters.pool }}"
        assert {jobs[job]["pool"]["vmImage"] for job in JOBS[:3]} == {"ubuntu-24.04"}
        connections = {
            job: {step["inputs"]["azureSubscription"] for step in azure_steps(job) if step.get("task") == "AzureCLI@2"}
            for job in JOBS[1:]
        }
        assert connections == {
            "preview": {"avepoint-preview"},
            "infrastructure": {"avepoint-production"},
            "app": {"avepoint-app"},
        }
