"""Sends logs, metrics and spans to Application Insights, in the background.

Import it at first use: the SDK takes a second to load.
"""

import logging
import os
from collections.abc import Mapping

from azure.monitor.opentelemetry.exporter import (
    AzureMonitorLogExporter,
    AzureMonitorMetricExporter,
    AzureMonitorTraceExporter,
)
from opentelemetry import metrics, trace
from opentelemetry.instrumentation.logging.handler import LoggingHandler
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from shared.telemetry.events import log_event
from shared.version import VERSION

log = logging.getLogger(__name__)

_OURS = ("functions.", "shared.")
_ITS_OWN = ("azure.monitor.", "opentelemetry.")


def export(environ: Mapping[str, str] = os.environ) -> None:
    """Export from now on, once per process; what is wrong with the connection string is logged, and harms nobody.

    Where to, and as whom, is in ``APPLICATIONINSIGHTS_CONNECTION_STRING`` and
    ``APPLICATIONINSIGHTS_AUTHENTICATION_STRING``, which the exporters read by themselves, as the Functions host does.
    What is left is sent when the process ends.
    """
    if not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        return
    try:
        spans, numbers, lines = AzureMonitorTraceExporter(), AzureMonitorMetricExporter(), AzureMonitorLogExporter()
    except ValueError as error:
        log_event(log, "telemetry.off", logging.WARNING, error=error)
        return
    resource = _resource(environ)
    tracers = TracerProvider(resource=resource)
    tracers.add_span_processor(BatchSpanProcessor(spans))
    trace.set_tracer_provider(tracers)
    metrics.set_meter_provider(MeterProvider([PeriodicExportingMetricReader(numbers)], resource=resource))
    loggers = LoggerProvider(resource=resource)
    loggers.add_log_record_processor(BatchLogRecordProcessor(lines))
    logging.getLogger().addHandler(_handler(loggers))
    for chatty in ("azure.core", "azure.monitor"):  # every export is a request, and would be some lines
        logging.getLogger(chatty).setLevel(logging.WARNING)


def _resource(environ: Mapping[str, str]) -> Resource:
    """Who speaks: the same names as the Functions host uses for itself."""
    known = {
        "service.name": environ.get("WEBSITE_SITE_NAME", "avepoint-functions"),
        "service.instance.id": environ.get("WEBSITE_INSTANCE_ID") or environ.get("CONTAINER_NAME", ""),
        "service.version": VERSION,
    }
    return Resource.create({name: value for name, value in known.items() if value})


def _handler(loggers: LoggerProvider) -> logging.Handler:
    handler = LoggingHandler(logger_provider=loggers)
    handler.setFormatter(logging.Formatter())  # the traceback, redacted, is in the text of the record
    handler.addFilter(_is_told)
    return handler


def _is_told(record: logging.LogRecord) -> bool:
    """All of ours, the warnings of others, and nothing of the export itself, which would feed on its own failures."""
    if record.name.startswith(_ITS_OWN):
        return False
    return record.levelno >= logging.WARNING or record.name.startswith(_OURS)
