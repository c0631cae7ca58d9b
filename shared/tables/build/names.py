"""Where tables and what is known of them lie, and what they are called. Pure."""

from fnmatch import fnmatchcase

from shared.avepoint.platform import Source
from shared.settings import Settings

STATES = "tables/"
"""The folder of the states, in ``harvest-state``."""

SNAPSHOTS, HISTORY, DRIFT = "inventory_snapshots", "inventory_history", "inventory_drift"
"""The tables that tell of all datasets."""

OFF = "none"


def table_name(source: Source, dataset: str) -> str:
    """Return the folder of the current table of a dataset, in the container ``tables``."""
    return f"{source}_{dataset}".replace("-", "_")


def changes_name(source: Source, dataset: str) -> str:
    """Return the folder of the table of its changes."""
    return f"{table_name(source, dataset)}_changes"


def application(source: Source, dataset: str) -> str:
    """Return who commits, in the logs of all tables: one application for each dataset."""
    return f"avepoint-functions/{source}/{dataset}"


def state_path(source: Source, dataset: str) -> str:
    """Return where the state of a table lies, in ``harvest-state``."""
    return f"{STATES}{source}/{dataset}.json"


def parents_path(source: Source, dataset: str, sequence: int, run_id: str) -> str:
    """Return where the parents lie that a dataset was ever asked for, in ``harvest-state``."""
    return f"{STATES}{source}/{dataset}/parents-{sequence:06d}-{run_id}.bin"


def is_enabled(settings: Settings, source: Source, dataset: str) -> bool:
    """Return whether a dataset gets a table."""
    patterns = settings.tables_datasets
    included = [pattern for pattern in patterns if not pattern.startswith("!")] or ["*"] * bool(patterns)
    excluded = [pattern.removeprefix("!").strip() for pattern in patterns if pattern.startswith("!")]
    name = f"{source}/{dataset}"
    if OFF in included:
        return False
    return any(fnmatchcase(name, one) for one in included) and not any(fnmatchcase(name, one) for one in excluded)
