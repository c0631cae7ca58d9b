"""The commands: what each is for, which module does it, and what its exit status means."""

from dataclasses import dataclass
from typing import Final

PROGRAM: Final = "./avepoint"
FOUND_OUT: Final = ("nothing is wrong", "something is wrong", "it could not check")
DONE: Final = ("it is done", None, "it could not be done")


@dataclass(frozen=True, slots=True)
class Command:
    """One command.

    Attributes:
        about: What it is for, in a line.
        example: How it is called, after the name of the program.
        exits: What the exit status 0, 1 and 2 mean.
        module: What does it, if it works in this process: ``python -m MODULE``.
        route: What it asks of a deployed app, if it can do that.
        has_settings: Whether it reads app settings.
    """

    about: str
    example: str
    exits: tuple[str, str | None, str] = FOUND_OUT
    module: str = ""
    route: str = ""
    has_settings: bool = True


COMMANDS: Final = {
    "doctor": Command(
        "check everything the app depends on, and say what to do",
        "doctor --settings local.settings.json",
        exits=("nothing is broken (there may be warnings)", "something is broken", "it could not start"),
        module="shared.doctor.__main__",
        route="health/details",
    ),
    "datasets": Command(
        "list what a deployed app harvests, with the newest snapshots",
        "datasets --url https://APP.azurewebsites.net",
        exits=DONE,
        route="datasets",
    ),
    "runs": Command(
        "list the newest runs of a deployed app, and why some failed",
        "runs --url https://APP.azurewebsites.net",
        exits=DONE,
        route="runs",
    ),
    "verify": Command(
        "compare every part of the snapshots with their manifests",
        "verify --source graph --dataset enpower-powerapps",
        module="shared.harvest.verify",
    ),
    "tables": Command(
        "compare every row of the tables with the snapshots they name",
        "tables --source graph",
        module="shared.tables.verify",
    ),
    "forget": Command(
        "find the data of a person, and remove it from the tables",
        "forget --text ann@contoso.com",
        exits=("no table has the text any more", "a table has it", "it could not check, or could not do everything"),
        module="shared.tables.forget",
    ),
    "evidence": Command(
        "verify the evidence of who destroyed what",
        "evidence --since 2026-01-01",
        module="shared.opus.verify",
    ),
    "prune": Command(
        "declare that old, verified evidence may be deleted",
        "prune --before 2020-01-01",
        exits=("it is done, or could be", "something is wrong with the evidence", "it could not check"),
        module="shared.opus.prune",
    ),
    "compare": Command(
        "compare the data of the EnPower Web API and the Graph API",
        "compare powerapps connections",
        exits=("the Graph API gives all of it", "something differs", "it could not check"),
        module="shared.harvest.compare",
    ),
    "page": Command(
        "write the status page as one HTML file",
        "page --out status.html",
        exits=DONE,
        module="shared.tables.page.__main__",
    ),
    "capacity": Command(
        "say how long a harvest takes, and what limits it",
        "capacity --items 1000000 --latency-ms 200",
        exits=DONE,
        module="benchmarks.capacity",
        has_settings=False,
    ),
}
