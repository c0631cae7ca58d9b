"""Reading the app settings: all that is wrong with them is found at once, under the names of the settings."""

import os
from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches

from pydantic import BaseModel, ValidationError

from shared.errors import Misconfigured, Problem
from shared.settings.contradictions import contradictions, without_storage
from shared.settings.model import Settings
from shared.settings.storage import StorageSettings

_EMPTY_MEANS_NONE = frozenset({"HARVEST_ENPOWER_DATASETS", "HARVEST_GRAPH_DATASETS", "HARVEST_ELEMENTS_DATASETS"})
_OURS = ("AVEPOINT_", "OPUS_", "ELEMENTS_", "HARVEST_", "TABLES_", "THROTTLE_", "VERIFY_")
_NAMES = tuple(field.alias for field in Settings.model_fields.values() if field.alias)
_FITTING = {
    "AVEPOINT_DATA_CENTER": "us",
    **{name: "0 0 0 * * *" for name in _NAMES if name.endswith("_SCHEDULE")},
    **{name: "https://fits.example" for name in _NAMES if name.endswith(("_URL", "Uri"))},
    "AVEPOINT_ENPOWER_URL": "https://fits.example/smp",
    **{name: "fits" for name in _NAMES if name.endswith("_CLIENT_ID")},
}
"""Stands in for what is missing or wrong, so that what else is wrong is found in the same look."""


def load_settings(environ: Mapping[str, str] = os.environ) -> Settings:
    """Read and validate the app settings.

    An empty setting counts as absent, except that an empty list of datasets means none of them.

    Raises:
        Misconfigured: Names every setting that is missing, wrong, or not known.
    """
    given = {name: value for name, value in environ.items() if value.strip() or name in _EMPTY_MEANS_NONE}
    problems = [*_unknown(given), *_placeholders(given)]
    settings, faults = _validated(given, {problem.setting for problem in problems}, Settings)
    problems += faults
    named = {problem.setting for problem in problems}
    problems += [problem for problem in contradictions(settings) if problem.setting not in named]
    if problems:
        raise Misconfigured(problems)
    return settings


def load_storage_settings(environ: Mapping[str, str] = os.environ) -> StorageSettings:
    """Read the app settings that say where things are stored, whatever the others are.

    Raises:
        Misconfigured: Names every one of them that is missing or wrong.
    """
    given = {name: value for name, value in environ.items() if value.strip()}
    settings, problems = _validated(given, (), StorageSettings)
    problems = problems or list(without_storage(settings))
    if problems:
        raise Misconfigured(problems)
    return settings


def _validated[T: BaseModel](
    given: Mapping[str, str], wrong: Collection[str], kind: type[T]
) -> tuple[T, list[Problem]]:
    """Return the settings, with stand-ins for what is ``wrong`` or found to be, and the faults found."""
    try:
        return kind.model_validate(_without(given, wrong)), []
    except ValidationError as error:
        found = error.errors()
    faults = [_problem(str(fault["loc"][0]), fault["type"], fault["msg"]) for fault in found]
    bad = {*wrong} | {fault.setting for fault in faults}
    return kind.model_validate(_without(given, bad)), [fault for fault in faults if fault.setting not in wrong]


def _without(given: Mapping[str, str], wrong: Collection[str]) -> dict[str, str]:
    kept = {name: value for name, value in given.items() if name not in wrong}
    return kept | {name: _FITTING[name] for name in wrong if name in _FITTING}


def _unknown(given: Mapping[str, str]) -> Iterator[Problem]:
    """Yield the names that begin as ours do, and are none: a misspelt switch would be as good as not set."""
    for name in sorted(given):
        if name.upper().startswith(_OURS) and name not in _NAMES:
            (closest,) = get_close_matches(name.upper(), _NAMES, n=1, cutoff=0)
            yield Problem(name, "is not an app setting", f"Did you mean {closest}? If not, remove {name}.")


def _placeholders(given: Mapping[str, str]) -> Iterator[Problem]:
    """Yield the settings that hold words in angle brackets, as the sample does, or an unresolved reference."""
    for name in _NAMES:
        value = given.get(name, "").strip()
        if value.startswith("<") and value.endswith(">"):
            yield _problem(name, "", "still holds the placeholder of the sample")
        elif value.lower().startswith("@microsoft.keyvault("):
            yield _problem(name, "", "still holds a reference to Key Vault, which the platform has not resolved")


def _problem(setting: str, kind: str, message: str) -> Problem:
    wanted = next(field.description for field in Settings.model_fields.values() if field.alias == setting)
    message = "is missing" if kind == "missing" else message.removeprefix("Value error, ")
    return Problem(setting, message, f"Set {setting} to {wanted}.")
