"""The HTTP functions of the app, as they are indexed."""

import runpy
from collections.abc import Iterator
from dataclasses import dataclass

import azure.functions as func

from sandbox.processes import ROOT

PAGES = frozenset({"status_page", "status_file"})
"""Functions that a browser asks: no program calls them."""


@dataclass(frozen=True, slots=True)
class Route:
    """One HTTP function; ``path`` comes without the prefix of the host, ``anonymous`` is who needs no key."""

    function: str
    method: str
    path: str
    anonymous: bool

    @property
    def operation_id(self) -> str:
        """``start_harvest`` as ``StartHarvest``."""
        return "".join(word.capitalize() for word in self.function.split("_"))


def routes() -> Iterator[Route]:
    """Every HTTP function."""
    app: func.FunctionApp = runpy.run_path(str(ROOT / "function_app.py"))["app"]  # an app can be indexed only once
    for function in app.get_functions():
        trigger = function.get_trigger()
        if trigger is not None and trigger.type == "httpTrigger" and function.get_function_name() not in PAGES:
            told = trigger.get_dict_repr()
            method = next(one for one in told["methods"] if one != func.HttpMethod.HEAD)
            anonymous = told["authLevel"] == func.AuthLevel.ANONYMOUS
            yield Route(str(function.get_function_name()), method.value, told["route"], anonymous)
