"""package.zip: the app with its wheels, for where Azure cannot install them. ``make package`` fetches these first."""

from collections.abc import Iterator
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

from tools.arguments import no_options

ROOT = Path(__file__).parents[1]
SHIPPED = ("host.json", "function_app.py", "requirements.txt", "functions", "shared", ".python_packages")


def files(root: Path) -> Iterator[Path]:
    """Yield every file that is shipped, those of folders too, without bytecode."""
    for path in (root / name for name in SHIPPED):
        found = sorted(path.rglob("*")) if path.is_dir() else [path]
        yield from (file for file in found if file.is_file() and "__pycache__" not in file.parts)


def write(root: Path, package: Path) -> None:
    """Pack what is shipped of a folder into a file."""
    with ZipFile(package, "w", ZIP_DEFLATED) as archive:
        for file in files(root):
            archive.write(file, file.relative_to(root))


if __name__ == "__main__":
    no_options(__doc__)
    write(ROOT, ROOT / "package.zip")
