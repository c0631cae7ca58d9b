"""Metrics equal what the manifest says, a run is one trace, and nothing secret is in either."""

import dataclasses
import gzip
import json
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import override

import pytest
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import Counter, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader, NumberDataPoint
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from sandbox.processes import ROOT
from shared.harvest.plan.run import Run
from shared.harvest.runs.starting import start_requested
from shared.harvest.runs.sweep import sweep
from shared.harvest.slices.worker import work
from shared.services import Services, open_services
from shared.telemetry.spans import MEASURES, record, span
from tests.conftest import CLIENT, Clock, Simulator
from tests.harvest.conftest import finish, latest_manifest

DATASET = {"source": "graph", "dataset": "enpower-powerapps"}
PATH = "/smp/powerplatform/powerapps"
PAGES = 10


@dataclasses.dataclass(frozen=True)
class Collected:
    """What was measured and traced since the test began."""

    exporter: InMemorySpanExporter
    reader: InMemoryMetricReader

    def spans(self, name: str | None = None) -> list[ReadableSpan]:
        return [one for one in self.exporter.get_finished_spans() if name in {None, one.name}]

    def points(self) -> dict[str, list[NumberDataPoint]]:
        """The points of every metric; reading them resets the counters."""
        data = self.reader.get_metrics_data()
        scopes = [scope for resource in data.resource_metrics for scope in resource.scope_metrics] if data else []
        return {
            metric.name: [point for point in metric.data.data_points if isinstance(point, NumberDataPoint)]
            for scope in scopes
            for metric in scope.metrics
        }

    def attributes(self) -> list[Mapping[str, object]]:
        of_points = [point.attributes for points in self.points().values() for point in points]
        return [dict(one or {}) for one in (*of_points, *(one.attributes for one in self.spans()))]


@pytest.fixture(scope="session")
def collecting() -> Iterator[Collected]:
    """Collects for the rest of the process: the providers of OpenTelemetry can be set only once."""
    exporter = InMemorySpanExporter()
    reader = InMemoryMetricReader({Counter: AggregationTemporality.DELTA})
    tracers = TracerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(tracers)
    metrics.set_meter_provider(MeterProvider([reader]))
    yield Collected(exporter, reader)
    exporter.shutdown()


@pytest.fixture
def collected(collecting: Collected) -> Collected:
    collecting.exporter.clear()
    collecting.points()
    return collecting


class TestSpans:
    def test_the_trace_is_the_one_of_the_run(self, collected: Collected) -> None:
        for _ in range(2):
            with span("harvest.slice", "run-1", run="run-1"), span("avepoint.request"):
                pass
        with span("harvest.slice", "run-2"):
            pass
        traces = [one.context.trace_id for one in collected.spans()]
        assert traces[0] == traces[1] == traces[2] == traces[3] != traces[4]

    def test_it_is_linked_to_the_invocation_it_is_part_of(self, collected: Collected) -> None:
        with trace.get_tracer("host").start_as_current_span("invocation") as invocation, span("harvest.slice", "run-1"):
            pass
        (one,) = collected.spans("harvest.slice")
        assert [link.context for link in one.links] == [invocation.get_span_context()]

    def test_what_belongs_to_the_same_run_is_below_what_goes_on(self, collected: Collected) -> None:
        with span("harvest.slice", "run-1") as outer, span("harvest.publish", "run-1"):
            pass
        (inner,) = collected.spans("harvest.publish")
        assert inner.parent == outer.get_span_context()

    def test_a_failure_is_named_and_not_quoted(self, collected: Collected) -> None:
        with pytest.raises(ValueError, match="secret"), span("avepoint.request", link="https://x.example/?sig=secret"):
            raise ValueError("a secret")
        (one,) = collected.spans()
        assert (one.status.status_code, one.attributes) == (
            StatusCode.ERROR,
            {"link": "https://x.example/?***", "error.type": "ValueError"},
        )
        assert "secret" not in one.to_json()


class TestMetrics:
    def test_an_event_feeds_its_instruments(self, collected: Collected) -> None:
        record("run.finished", {"source": "graph", "state": "partial", "run": "r1"})
        (point,) = collected.points()["avepoint.runs"]
        assert (point.value, point.attributes) == (1, {"source": "graph", "state": "partial"})

    def test_an_event_without_the_number_feeds_none(self, collected: Collected) -> None:
        record("slice.saved", {"source": "graph"})
        record("slice.claimed", {"items": 3})
        assert collected.points() == {}

    def test_no_attribute_is_an_id(self) -> None:
        assert not {name for one in MEASURES for name in one.by} & {"run", "operation", "partition", "request", "epoch"}


class TestHarvest:
    """A harvest of ten pages, on two instances that take turns."""

    @pytest.fixture
    def environ(self, environ: dict[str, str]) -> dict[str, str]:
        return environ | {"HARVEST_PAGE_SIZE": "10"}

    @pytest.fixture
    def avepoint(self, avepoint: Simulator) -> Simulator:
        avepoint.avepoint.change({"items": 95})
        return avepoint

    @pytest.fixture
    async def run(self, services: Services, clock: Clock, avepoint: Simulator, collected: Collected) -> Run:
        avepoint.fault(path=PATH, cut=100, skip=2)
        avepoint.fault(path=PATH, status=429, headers={"Retry-After": "60"}, skip=6)
        run = await start_requested(services, "graph", ["enpower-powerapps"])
        (address,) = run.addresses()
        other = await open_services(services.settings, clock=clock, sleep=clock.sleep)
        assert await work(hurried(services, clock), address) == "handed over"
        assert await work(other, address) == "handed over"
        await other.close()
        clock.advance(minutes=2)
        await finish(services, address)
        assert collected.spans()
        return run

    async def test_the_metrics_are_what_the_manifest_says(
        self, services: Services, run: Run, collected: Collected
    ) -> None:
        manifest = await latest_manifest(services, "graph", "enpower-powerapps")
        points = collected.points()
        measured = {
            name.removeprefix("avepoint.harvest."): sum(point.value for point in points[name])
            for name in points
            if name.startswith("avepoint.harvest.")
        }
        assert measured == {
            "items": manifest.items,
            "pages": manifest.pages,
            "bytes": manifest.bytes,
            "requests": manifest.requests,
            "retries": manifest.retries,
            "waits": pytest.approx(manifest.wait_seconds, abs=0.001),
        }
        assert (manifest.run_id, manifest.pages, manifest.retries > 0) == (run.run_id, PAGES, True)
        assert all(point.attributes == DATASET for point in points["avepoint.harvest.items"])
        assert [point.attributes for point in points["avepoint.snapshots.published"]] == [
            DATASET | {"verdict": "complete"}
        ]

    async def test_all_of_it_is_one_trace(self, run: Run, collected: Collected) -> None:
        slices = collected.spans("harvest.slice")
        assert [(one.attributes or {})["outcome"] for one in slices] == ["handed over", "handed over", "finished"]
        assert [(one.attributes or {})["epoch"] for one in slices] == [1, 2, 3]
        assert {(one.attributes or {})["run"] for one in slices} == {run.run_id}
        assert len(collected.spans("harvest.publish")) == 1
        assert len(collected.spans("avepoint.request")) > PAGES
        assert len({one.context.trace_id for one in collected.spans()}) == 1

    @pytest.mark.usefixtures("run")
    async def test_no_attribute_holds_a_secret_or_an_address(self, collected: Collected) -> None:
        """Promise 8: the continuation token of the simulated AvePoint is in the query of its links."""
        text = json.dumps([one.to_json() for one in collected.spans()]) + json.dumps(collected.attributes())
        assert "://" not in text
        assert "?" not in text
        assert CLIENT.client_secret not in text

    @pytest.mark.usefixtures("run")
    async def test_the_sweep_tells_how_old_a_snapshot_is(
        self, services: Services, clock: Clock, collected: Collected
    ) -> None:
        clock.advance(hours=3)
        await sweep(services)
        (point,) = collected.points()["avepoint.snapshots.age"]
        assert (point.value, point.attributes) == (3 * 3600, DATASET)


def hurried(services: Services, clock: Clock) -> Services:
    """The same services with time for one page."""

    def look() -> datetime:
        clock.advance(milliseconds=1)
        return clock.now

    return dataclasses.replace(
        services, clock=look, settings=services.settings.model_copy(update={"slice_seconds": 0.001})
    )


class Ingestion(BaseHTTPRequestHandler):
    """What Application Insights does with telemetry: it says that it took it."""

    received: list[dict[str, object]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        items = json.loads(gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body)
        self.received += items
        answer = json.dumps({"itemsReceived": len(items), "itemsAccepted": len(items), "errors": []}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    @override
    def log_message(self, format: str, *args: object) -> None: ...


@contextmanager
def ingestion() -> Iterator[tuple[str, list[dict[str, object]]]]:
    """An Application Insights on this machine: its connection string, and what it was sent."""
    received: list[dict[str, object]] = []
    with HTTPServer(("127.0.0.1", 0), type("Handler", (Ingestion,), {"received": received})) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        key = "00000000-0000-0000-0000-000000000001"
        yield f"InstrumentationKey={key};IngestionEndpoint=http://127.0.0.1:{server.server_port}", received
        server.shutdown()
        thread.join()


type Item = tuple[str, dict[str, str], dict[str, object]]
"""Kind, tags and data of what Application Insights was sent."""

SPEAKING = """
import logging
from shared.telemetry.events import log_event, log_failure
from shared.telemetry.redaction import redact_logs
from shared.services import _export_telemetry
from shared.telemetry.spans import span

logging.basicConfig(level=logging.INFO)
redact_logs()
_export_telemetry()
_export_telemetry()
log = logging.getLogger("shared.harvest.slices.slice")
with span("harvest.slice", "run-1", run="run-1", epoch=2):
    log_event(log, "slice.saved", source="graph", dataset="d", items=3)
    try:
        raise ValueError("client_secret=hidden")
    except ValueError:
        log_failure(log, "http.failed")
logging.getLogger("somebody.else").info("not told")
logging.getLogger("somebody.else").warning("told")
logging.getLogger("azure.monitor.opentelemetry.exporter").warning("not told either")
"""


def run_alone(code: str, **environ: str) -> str:
    """What a process of its own prints, once it has ended: what it exports is set up once for each process."""
    done = subprocess.run(  # noqa: S603 - our own interpreter, our own code
        [sys.executable, "-c", code], cwd=ROOT, env={"PATH": "", **environ}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def sent() -> list[Item]:
    with ingestion() as (connection, received):
        run_alone(
            SPEAKING,
            APPLICATIONINSIGHTS_CONNECTION_STRING=connection,
            APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL="true",
            APPLICATIONINSIGHTS_CONTROLPLANE_DISABLED="true",
            WEBSITE_SITE_NAME="func-avepoint",
            WEBSITE_INSTANCE_ID="instance-1",
        )
    return [(one["data"]["baseType"], one["tags"], one["data"]["baseData"]) for one in received]  # type: ignore[index,misc]


class TestExport:
    def test_lines_arrive_with_their_fields(self, sent: list[Item]) -> None:
        """The alerts look for ``customDimensions``: this is what Application Insights makes them from."""
        messages = [data for kind, _, data in sent if kind == "MessageData"]
        saved = next(one for one in messages if str(one["message"]).startswith("slice.saved"))
        assert saved["message"] == "slice.saved run=run-1 epoch=2 source=graph dataset=d items=3"
        assert saved["properties"] == {
            "event": "slice.saved",
            "run": "run-1",
            "epoch": "2",
            "source": "graph",
            "dataset": "d",
            "items": "3",
            "logger_name": "shared.harvest.slices.slice",
        }

    def test_lines_are_told_once_and_others_only_when_they_warn(self, sent: list[Item]) -> None:
        messages = [str(data["message"]).partition("\n")[0] for kind, _, data in sent if kind == "MessageData"]
        assert sorted(messages) == [
            "http.failed run=run-1 epoch=2",
            "slice.saved run=run-1 epoch=2 source=graph dataset=d items=3",
            "told",
        ]

    def test_a_traceback_arrives_without_its_secrets(self, sent: list[Item]) -> None:
        failed = next(str(data) for _, _, data in sent if "http.failed" in str(data))
        assert "ValueError: client_secret=***" in failed
        assert "hidden" not in str(sent)

    def test_a_line_is_found_in_the_trace_of_its_span(self, sent: list[Item]) -> None:
        ((tags, data),) = [(tags, data) for kind, tags, data in sent if kind == "RemoteDependencyData"]
        line = next(tags for kind, tags, data in sent if "slice.saved" in str(data))
        assert data["name"] == "harvest.slice"
        assert (line["ai.operation.id"], line["ai.operation.parentId"]) == (tags["ai.operation.id"], data["id"])
        assert (tags["ai.cloud.role"], tags["ai.cloud.roleInstance"]) == ("func-avepoint", "instance-1")

    def test_metrics_arrive(self, sent: list[Item]) -> None:
        measured = [data for kind, _, data in sent if kind == "MetricData" and "avepoint" in str(data["metrics"])]
        assert [(one["metrics"], one["properties"]) for one in measured] == [
            ([{"name": "avepoint.harvest.items", "value": 3, "count": 1}], {"source": "graph", "dataset": "d"})
        ]

    def test_a_connection_string_that_is_none_harms_nobody(self) -> None:
        said = run_alone(SPEAKING, APPLICATIONINSIGHTS_CONNECTION_STRING="nonsense")
        assert "telemetry.off error='Invalid connection string'" in said
        assert "slice.saved run=run-1" in said

    def test_without_a_connection_string_nothing_is_kept_and_no_sdk_is_loaded(self) -> None:
        """Promise 9, and recording costs next to nothing."""
        kept = run_alone(
            "import sys, function_app\n"
            + SPEAKING
            + "with span('harvest.slice', 'run-1') as current:\n"
            + "    print('sdk' if 'opentelemetry.sdk' in sys.modules else 'no sdk', current.is_recording())"
        )
        assert "no sdk False" in kept
