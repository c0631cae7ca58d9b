"""What is measured and traced: which event feeds which instrument, and one trace for every run and every operation.

Only the API of OpenTelemetry is used here: where nobody collects, nothing is kept. ``exporter`` collects.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal

from opentelemetry import metrics, trace
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, SpanKind, StatusCode, TraceFlags

from shared.telemetry.redaction import bounded

_LONGEST_FIELD = 4000

type FieldValue = str | int | float
"""What a field of an event, or an attribute of a span or an instrument, may be."""


@dataclass(frozen=True, slots=True)
class Measure:
    """An instrument, the event that feeds it, and the field of the event that holds the number.

    Args:
        field: ``None`` where the events themselves are counted.
        by: The fields of the event that become attributes: those with few values, never an id.
    """

    name: str
    unit: str
    meaning: str
    event: str
    field: str | None
    by: tuple[str, ...]
    kind: Literal["counter", "gauge"] = "counter"


_DATASET = ("source", "dataset")
_VERDICT = (*_DATASET, "verdict")
_OUTCOME = ("kind", "status")

MEASURES = (
    Measure("avepoint.harvest.items", "{item}", "items written", "slice.saved", "items", _DATASET),
    Measure("avepoint.harvest.pages", "{page}", "pages read", "slice.saved", "pages", _DATASET),
    Measure("avepoint.harvest.bytes", "By", "compressed bytes written", "slice.saved", "bytes", _DATASET),
    Measure("avepoint.harvest.requests", "{request}", "requests for pages", "slice.saved", "requests", _DATASET),
    Measure("avepoint.harvest.retries", "{request}", "those sent in vain", "slice.saved", "retries", _DATASET),
    Measure("avepoint.harvest.waits", "s", "time waited, slept or handed back", "slice.saved", "waited", _DATASET),
    Measure("avepoint.snapshots.published", "{snapshot}", "published", "snapshot.published", None, _VERDICT),
    Measure("avepoint.snapshots.held_back", "{snapshot}", "not published", "snapshot.held_back", None, _VERDICT),
    Measure("avepoint.snapshots.age", "s", "since the newest was harvested", "snapshot.aged", "age", _DATASET, "gauge"),
    Measure("avepoint.runs", "{run}", "runs that ended", "run.finished", None, ("source", "state")),
    Measure("avepoint.operations", "{operation}", "operations that ended", "operation.finished", None, _OUTCOME),
    Measure("avepoint.requests", "{request}", "answered", "transport.answered", None, ("registration", "status")),
)

_meter = metrics.get_meter("avepoint")
_tracer = trace.get_tracer("avepoint")
_surroundings: ContextVar[Mapping[str, FieldValue]] = ContextVar("surroundings")

type _Recorder = Callable[[float, Mapping[str, FieldValue]], None]


def _recorder(measure: Measure) -> _Recorder:
    if measure.kind == "gauge":
        return _meter.create_gauge(measure.name, measure.unit, measure.meaning).set
    return _meter.create_counter(measure.name, measure.unit, measure.meaning).add


_fed_by: dict[str, list[tuple[Measure, _Recorder]]] = defaultdict(list)
for _measure in MEASURES:
    _fed_by[_measure.event].append((_measure, _recorder(_measure)))


def record(event: str, fields: Mapping[str, object]) -> None:
    """Feed the instruments that ``event`` has; an event without the number feeds none."""
    for measure, add in _fed_by.get(event, ()):
        number = fields.get(measure.field) if measure.field else 1
        if isinstance(number, int | float):
            add(number, {name: safe(value) for name in measure.by if (value := fields.get(name)) is not None})


def safe(value: object) -> FieldValue:
    """Return numbers as they are, everything else as text without secrets that has an end."""
    return value if isinstance(value, int | float) else bounded(str(value), _LONGEST_FIELD)


@contextmanager
def span(
    name: str, of: str | None = None, kind: SpanKind = SpanKind.INTERNAL, /, **fields: FieldValue
) -> Iterator[Span]:
    """Provide a span around a piece of work; every event logged meanwhile carries its ``fields``.

    Args:
        of: The run or operation whose trace it belongs to: the id of the trace is derived from it, so all that work
            on it, wherever and whenever, are in one trace. Without it, the trace that goes on.
        fields: Attributes; text is redacted.
    """
    attributes = {key: safe(value) for key, value in fields.items()}
    context, links = _place(of)
    surroundings = _surroundings.set({**surrounding_fields(), **attributes})
    try:
        with (
            _tracer.start_as_current_span(
                name, context, kind, attributes, links, record_exception=False, set_status_on_exception=False
            ) as current,
            _failures(current),
        ):
            yield current
    finally:
        _surroundings.reset(surroundings)


def surrounding_fields() -> Mapping[str, FieldValue]:
    """Return the fields of the spans that are open around the caller."""
    return _surroundings.get({})


@contextmanager
def _failures(current: Span) -> Iterator[None]:
    """Note that a span failed, and by what; a message or a traceback may hold anything, and belongs in the log."""
    try:
        yield
    except Exception as error:  # whatever it was, it is raised again
        current.set_status(StatusCode.ERROR)
        current.set_attribute("error.type", type(error).__name__)
        raise


def _place(of: str | None) -> tuple[Context | None, list[trace.Link]]:
    """Return the context a span begins in, and a link to the span it would otherwise have begun in."""
    current = trace.get_current_span().get_span_context()
    if of is None or current.trace_id == (root := _root(of)).trace_id:
        return None, []
    links = [trace.Link(current)] if current.is_valid else []
    return trace.set_span_in_context(NonRecordingSpan(root)), links


def _root(of: str) -> SpanContext:
    """Return the parent of all spans in the trace of a run or operation; it is never recorded itself."""
    digest = sha256(of.encode()).digest()
    return SpanContext(
        trace_id=int.from_bytes(digest[:16]),
        span_id=int.from_bytes(digest[16:24]),
        is_remote=True,
        trace_flags=TraceFlags(TraceFlags.SAMPLED),
    )
