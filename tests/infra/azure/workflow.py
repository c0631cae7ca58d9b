"""A workflow of GitHub run as GitHub runs it, as far as its shell goes: actions are left out, expressions filled in."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.infra.azure.cli import CommandLine, Done
from tests.infra.pipelines import Step, script, steps, workflow


@dataclass
class Run:
    """A run of the workflow ``deploy``.

    Attributes:
        variables: Those of the repository.
        secrets: Those of the environment ``production``.
        summary: What the jobs wrote for whoever agrees.
    """

    shell: CommandLine
    folder: Path
    variables: Mapping[str, str]
    secrets: Mapping[str, str] = field(default_factory=dict)
    number: int = 1
    outputs: dict[str, str] = field(default_factory=dict)
    summary: str = ""

    async def job(self, name: str) -> Done:
        """Run the scripts of a job, up to the first that fails."""
        content, done = workflow("deploy.yml")["jobs"][name], Done(0, "", "")
        everything = workflow("deploy.yml")["env"] | content.get("env", {})
        for step in steps("deploy.yml", name):
            if not script(step) or script(step).startswith("az bicep install"):
                continue
            done = await self._step(step, everything)
            if done.status:
                return done
        self.outputs |= {key: self._filled(value) for key, value in content.get("outputs", {}).items()}
        return done

    async def _step(self, step: Step, everything: Mapping[str, str]) -> Done:
        summary, output = self.folder / "summary", self.folder / "output"
        environ = {key: self._filled(value) for key, value in {**everything, **step.get("env", {})}.items()}
        summary.touch()
        done = await self.shell.run(
            script(step),
            **environ,
            GITHUB_STEP_SUMMARY=str(summary),
            GITHUB_OUTPUT=str(output),
            RUNNER_TEMP=str(self.folder),
            GITHUB_RUN_ID=str(self.number),
            GITHUB_RUN_ATTEMPT="1",
            UPLOAD_PAUSE="0",
            SMOKE_PAUSE="0",
            SMOKE_ATTEMPTS="1",
        )
        self.summary = summary.read_text()
        if output.exists():
            self.outputs |= dict(line.split("=", 1) for line in output.read_text().splitlines())
        return done

    def _filled(self, text: str) -> str:
        """Fill in the expressions that the workflow has; one that is not known fails."""

        def value(found: re.Match[str]) -> str:
            if found[1] == "vars.PACKAGE != 'built'":
                return str(self.variables.get("PACKAGE") != "built").lower()
            kind, _, name = found[1].rpartition(".")
            match kind:
                case "vars":
                    return self.variables.get(name, "")
                case "secrets":
                    return self.secrets.get(name, "")
                case "inputs":
                    return ""
                case "steps.deployed.outputs" | "needs.infrastructure.outputs":
                    return self.outputs[name]
            raise KeyError(found[1])

        return re.sub(r"\$\{\{ (.+?) \}\}", value, text)
