"""The composition root: every function of the app, and nothing else."""

import azure.functions as func

from functions import harvest, health, opus, runs
from functions.auth import HOST_LEVEL

app = func.FunctionApp(http_auth_level=HOST_LEVEL)
for blueprint in (harvest.bp, runs.bp, opus.bp, health.bp):
    app.register_functions(blueprint)
