"""The composition root: every function of the app, and nothing else."""

import azure.functions as func

from functions import (
    datasets,
    harvest,
    health,
    openapi,
    operations,
    opus,
    reports,
    runs,
    status,
    table_builds,
    tables,
    triggers,
)
from functions.http.auth import HOST_LEVEL

app = func.FunctionApp(http_auth_level=HOST_LEVEL)
for blueprint in (
    harvest.bp,
    runs.bp,
    datasets.bp,
    opus.bp,
    operations.bp,
    table_builds.bp,
    tables.bp,
    triggers.bp,
    reports.bp,
    health.bp,
    openapi.bp,
    status.bp,
):
    app.register_functions(blueprint)
