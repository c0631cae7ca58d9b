from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus

from sandbox.avepoint.catalog import Resource, Window
from sandbox.avepoint.settings import Settings, for_list
from sandbox.avepoint.windows import Span, moment
from sandbox.avepoint.wire import Call, RefusedError


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request for a list asks for. Names are in lower case, as the documents do not agree on their spelling.

    `given` are the parameters of the query, or of the body where the call has them there.
    """

    resource: Resource
    path: Mapping[str, str]
    body: Mapping[str, object]
    given: Mapping[str, str]

    @classmethod
    async def by(cls, call: Call, resource: Resource) -> "Asked":
        """Return what the call asks for; raise `RefusedError` (400) without a required parameter."""
        document = await call.document() if resource.method == "POST" and await call.request.body() else {}
        body = {name.lower(): value for name, value in document.items()}
        path = {name.lower(): value for name, value in call.request.path_params.items()}
        asked = cls(resource, path, body, _scalars(body) if resource.in_body else call.query)
        for name in resource.required:
            if not asked.given.get(name.lower()):
                raise RefusedError(HTTPStatus.BAD_REQUEST, f"{name} is required.")
        return asked

    def values(self, parameter: str) -> Sequence[str]:
        """Return what a parameter that names a parent holds: one value, several if the call takes a list, or none."""
        name = parameter.lower()
        if name in self.path:
            return [self.path[name]]
        if self.resource.parent and self.resource.parent.several:
            return self.ids(parameter)
        return [self.given[name]] if self.given.get(name) else []

    def ids(self, parameter: str) -> list[str]:
        """Return the entries of a list in the body; none when it is not there."""
        value = self.body.get(parameter.lower())
        return [str(entry) for entry in value] if isinstance(value, list) else []

    def span(self, settings: Settings, now: datetime) -> Span | None:
        """Return the window; raise `RefusedError` (400) for bounds that are no times, turned round or too far apart."""
        window = self.resource.window
        if window is None:
            return None
        since, until = (
            self._bound(name, settings, is_end=name == window.until) for name in (window.since, window.until)
        )
        if since is None and window.default_days:
            since = (until or now) - timedelta(days=window.default_days)
        return _checked(Span(since, until), window)

    def _bound(self, name: str, settings: Settings, *, is_end: bool) -> datetime | None:
        text = self.given.get(name.lower())
        if not text:
            return None
        day = for_list(settings.window_day, self.resource.name, "start")
        ahead = timedelta(minutes=settings.window_zone_minutes)
        try:
            return moment(text, is_end=is_end, end_day_included=day == "end", ahead=ahead)
        except ValueError as error:
            raise RefusedError(HTTPStatus.BAD_REQUEST, f"{name} must be a date and time.") from error


def _checked(span: Span, window: Window) -> Span:
    if span.since and span.until:
        if span.since > span.until:
            raise RefusedError(HTTPStatus.BAD_REQUEST, f"{window.since} must not be after {window.until}.")
        if window.longest_days and span.until - span.since > timedelta(days=window.longest_days):
            message = f"{window.until} must be at most {window.longest_days} days after {window.since}."
            raise RefusedError(HTTPStatus.BAD_REQUEST, message)
    return span


def _scalars(body: Mapping[str, object]) -> dict[str, str]:
    return {name: str(value) for name, value in body.items() if type(value) in {str, int, float}}
