"""Health: whether the app can work, for anybody, and why not, for its administrator."""

from http import HTTPStatus

import azure.functions as func

from functions.http import answering, json_answer
from shared.doctor import Report, examine
from shared.services import services

bp = func.Blueprint()


@bp.route("health", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@answering
async def health(req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG001 - the binding wants it
    """Whether the app can work; nothing more, since anybody may ask."""
    report = Report.of(await examine(services))
    status = HTTPStatus.OK if report.status == "ok" else HTTPStatus.SERVICE_UNAVAILABLE
    return json_answer({"status": report.status, "version": report.version}, status=status)


@bp.route("health/details", methods=["GET"])
@answering
async def health_details(req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG001 - the binding wants it
    """Every check with its status, message and remedy; it asks everything the app depends on."""
    return json_answer(Report.of(await examine(services, look=True)))
