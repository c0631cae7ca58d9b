"""Programs in front of the real ones: ``az`` that keeps count, and what no test can have (azd, gh, AzCopy)."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

RECORDING: Final = """#!/usr/bin/env bash
case $* in
login) exit 0 ;; # a browser would open
esac
"{az}" "$@"
status=$?
printf '%s\\t%s\\n' "$status" "${{*//$'\\n'/ }}" >>"{log}"
exit "$status"
"""
AZD: Final = """#!/usr/bin/env bash
[ "$1 $2" = "env get-value" ] || exit 0
case $3 in
{values}
*) echo "no value of $3" >&2; exit 1 ;;
esac
"""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A command of az, and how it ended."""

    status: int
    command: str


@dataclass(frozen=True, slots=True)
class Programs:
    """A folder to be put first on the path."""

    folder: Path

    @classmethod
    def written(cls, folder: Path, az: Path, azd: Mapping[str, str]) -> "Programs":
        """Write them; ``azd`` holds what ``azd env get-value`` gives."""
        values = "\n".join(f"{name}) echo '{value}' ;;" for name, value in azd.items())
        for name, text in {
            "az": RECORDING.format(az=az, log=folder / "az.log"),
            "azd": AZD.format(values=values),
            "gh": "#!/bin/sh\necho repo:contoso@1/avepoint-functions@2\n",
            "azcopy": "#!/bin/sh\n",
            "make": "#!/bin/sh\n: >package.zip\n",
            "zip": "#!/bin/sh\n: >package.zip\n",
        }.items():
            (folder / name).write_text(text)
            (folder / name).chmod(0o755)
        (folder / "az.log").touch()
        return cls(folder)

    @property
    def recorded(self) -> list[Recorded]:
        """Every command of az so far."""
        lines = [line.partition("\t") for line in (self.folder / "az.log").read_text().splitlines()]
        return [Recorded(int(status), command) for status, _, command in lines]
