"""The pipelines as data: the jobs of GitHub's workflows and of Azure DevOps, and the shell in them."""

from typing import Any, Final

import yaml

from sandbox.processes import ROOT

WORKFLOWS: Final = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
AZURE_PIPELINES: Final = ROOT / "infra" / "azure-pipelines.yml"

type Document = Any  # whatever a pipeline holds; its schema is checked
type Step = dict[str, Any]


def workflow(name: str) -> Document:
    """Read a workflow of GitHub; every value is a text."""
    return _read(f".github/workflows/{name}")


def azure_pipelines() -> Document:
    """Read the pipeline of Azure DevOps."""
    return _read("infra/azure-pipelines.yml")


def _read(path: str) -> Document:
    return yaml.load((ROOT / path).read_text(), Loader=yaml.BaseLoader)  # noqa: S506 - makes text only


def steps(name: str, job: str) -> list[Step]:
    """The steps of a job of a workflow."""
    found: list[Step] = workflow(name)["jobs"][job]["steps"]
    return found


def azure_jobs() -> dict[str, Document]:
    """The jobs of Azure DevOps, by name."""
    jobs = [job for stage in azure_pipelines()["stages"] for job in stage["jobs"]]
    return {job.get("job") or job["deployment"]: job for job in jobs}


def azure_steps(job: str) -> list[Step]:
    """The steps of a job of Azure DevOps."""
    found = azure_jobs()[job]
    taken: list[Step] = found["steps"] if "steps" in found else found["strategy"]["runOnce"]["deploy"]["steps"]
    return taken


def script(step: Step) -> str:
    """The shell of a step, of either kind; nothing where it has none."""
    return str(step.get("run") or step.get("script") or step.get("inputs", {}).get("inlineScript", ""))
