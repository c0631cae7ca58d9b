"""``make release``: what a release consists of, in dist/: the package, its bill of materials, notes and checksums."""

import hashlib
import re
import shutil
import sys
import tomllib
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from pathlib import Path

from shared.version import VERSION

ROOT = Path(__file__).parents[1]
_HEADING = re.compile(r"^## \[(?P<name>[^\]]+)\].*\n(?P<text>(?:(?!## ).*\n?)*)", re.MULTILINE)


def problems(root: Path, version: str) -> Iterator[str]:
    """Yield what has to be done before this version can be released."""
    named = tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"]
    if named != version:
        yield f"pyproject.toml says {named}, and shared/version.py {version}: give both the same version."
    sections = _sections(root)
    if sections.get("Unreleased", "").strip():
        yield f"CHANGELOG.md has entries under [Unreleased]: put the heading '## [{version}] - DATE' above them."
    elif not sections.get(version, "").strip():
        yield f"CHANGELOG.md has no entries under [{version}]: say what changed."


def write_release(root: Path, version: str) -> Path:
    """Put what was built into ``dist/``, under names that carry the version; return the folder."""
    folder, name = root / "dist", f"avepoint-functions-{version}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    shutil.copy(root / "package.zip", folder / f"{name}.zip")
    shutil.copy(root / "sbom.json", folder / f"{name}.cdx.json")
    (folder / f"{name}.md").write_text(_sections(root)[version].strip() + "\n")
    sums = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in sorted(folder.iterdir())]
    (folder / "SHA256SUMS").write_text("".join(sums))
    return folder


def _sections(root: Path) -> dict[str, str]:
    return {found["name"]: found["text"] for found in _HEADING.finditer((root / "CHANGELOG.md").read_text())}


def main(argv: Sequence[str], root: Path = ROOT, version: str = VERSION) -> int:
    """Check, and release unless only the check is wanted; return 0, or 1 where something has to be done first."""
    parser = ArgumentParser(prog="python -m tools.release", description="Write dist/ from what make release has built.")
    parser.add_argument("--check", action="store_true", help="only say what has to be done before; exit 0 or 1")
    args = parser.parse_args(argv)
    if found := list(problems(root, version)):
        sys.stderr.write("\n".join([*found, ""]))
        return 1
    if not args.check:
        print(write_release(root, version))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
