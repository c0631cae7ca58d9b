"""A simulated AvePoint: identity, EnPower, Graph, Elements and Opus on one origin, with faults on demand.

It knows AvePoint by its own description (`resources/*.json`, `scopes.json`) and nothing of the code that is tested
against it, so that what one of them has misunderstood shows.
"""

from sandbox.avepoint.app import create_app
from sandbox.avepoint.families import UnknownParentError
from sandbox.avepoint.identity import Credentials
from sandbox.avepoint.items import TENANTS
from sandbox.avepoint.server import serve
from sandbox.avepoint.settings import Settings
from sandbox.avepoint.simulation import AvePoint

__all__ = ["TENANTS", "AvePoint", "Credentials", "Settings", "UnknownParentError", "create_app", "serve"]
