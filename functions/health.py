"""Health: whether the app can work, for anybody, and why not, for its administrator."""

from http import HTTPStatus

import azure.functions as func

from functions.http import answering, json_answer
from shared.doctor import examine, is_well
from shared.services import services
from shared.version import VERSION

bp = func.Blueprint()


@bp.route("health", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@answering
async def health(req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG001 - the binding wants it
    """Whether the app can work; nothing more, since anybody may ask."""
    well = is_well(await examine(services))
    status = HTTPStatus.OK if well else HTTPStatus.SERVICE_UNAVAILABLE
    return json_answer({"status": "ok" if well else "unhealthy", "version": VERSION}, status=status)


@bp.route("health/details", methods=["GET"])
@answering
async def health_details(req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG001 - the binding wants it
    """Every check with its status, message and remedy."""
    checks = await examine(services, look=True)
    listed = [check.model_dump(by_alias=True) for check in checks]
    return json_answer({"status": "ok" if is_well(checks) else "unhealthy", "version": VERSION, "checks": listed})
