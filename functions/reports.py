"""Reports over HTTP: which there are, and each of them as JSON or CSV."""

import asyncio

import azure.functions as func

from functions.http.endpoint import endpoint
from functions.http.queries import FORMAT, OF_REPORTS
from functions.http.query import Query
from functions.http.requests import text, wants_csv
from functions.http.responses import csv_response, json_response
from shared.services import services
from shared.tables.reporting.heads import ReportDefinition, reports
from shared.tables.serving.report import describe_report, find_report, make_report

bp = func.Blueprint()


@bp.route("reports", methods=["GET"])
@endpoint
async def list_reports(req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG001 - the host passes it by this name
    """List the reports, with the datasets that each needs and what it can be asked with."""
    return json_response({"value": [describe_report(report) for report in reports().values()]})


@bp.route("reports/{report}", methods=["GET"])
@endpoint
async def get_report(req: func.HttpRequest) -> func.HttpResponse:
    """Make a report of the tables as they are."""
    report, as_csv = find_report(req.route_params["report"]), wants_csv(req)
    values = report.values(_given(req, report))
    answer = await make_report(await services(), report, values)
    if as_csv:
        return csv_response(await asyncio.to_thread(answer.to_csv), report.name)
    return func.HttpResponse(await asyncio.to_thread(answer.to_json), mimetype="application/json")


def _given(req: func.HttpRequest, report: ReportDefinition) -> dict[str, str]:
    """Return what a caller says of the parameters of a report; raises ``InvalidInput`` for those of another one."""
    Query.of(req, [FORMAT.name, *(one.name for one in report.parameters)])
    found = {one.name: text(req, one) for one in OF_REPORTS}
    return {name: value for name, value in found.items() if value is not None}
