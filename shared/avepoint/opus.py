"""Requests to the Opus connector API, in the current and in the legacy generation.

Sources: AvePoint/cloud-api, ``docs/docs/services-and-features/opus/`` (April 2025) for the current one, the AvePoint
Opus user guide, "API for Connector", for the legacy one. ``opus_answers`` reads what comes back.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol
from urllib.parse import urlencode

import msgspec

from shared.avepoint.opus_answers import CONNECTOR_FORM, GRAPH_FORM, AnswerForm
from shared.avepoint.platform import OPUS_SCOPE
from shared.avepoint.request import Method, Request

BATCH_SIZE = 15
"""The most records of a submit, and ids of a destroy, in one call."""

PAGE_SIZE = 100
"""The most records on one page of due records."""

type ConflictOption = Literal["Overwrite", "Skip"]
type Record = Mapping[str, object]
"""A record under the names of Opus: ``rowKey``, ``leafName``, … and the internal names of custom columns."""
type Generation = Literal["graph", "connector"]

_RECORDS_PATH = "/records/connector/records"


class OpusApi(Protocol):
    """One generation of the API; dates are already written the way the tenant wants them."""

    @property
    def base_url(self) -> str:
        """Where its paths begin."""

    @property
    def generation(self) -> Generation:
        """Its name in the settings."""

    @property
    def form(self) -> AnswerForm:
        """What its documents call an answer."""

    def submit(self, connection: str, conflict_option: ConflictOption, records: Sequence[Record]) -> Request:
        """Submit 1 to 15 records."""

    def due(self, connection: str, before: str, *, size: int, start_index: str | None = None) -> Request:
        """Return a page of at most ``size`` records due before a date; ``start_index`` comes from the page before."""

    def destroy(self, ids: Sequence[str]) -> Request:
        """Mark 1 to 15 records as destroyed, by row key."""


@dataclass(frozen=True, slots=True)
class GraphApi:
    """The current generation."""

    generation: ClassVar[Generation] = "graph"
    form: ClassVar[AnswerForm] = GRAPH_FORM

    base_url: str

    def submit(self, connection: str, conflict_option: ConflictOption, records: Sequence[Record]) -> Request:
        """POST."""
        return self._request("POST", {"id": connection, "conflictOption": conflict_option, "data": records})

    def due(self, connection: str, before: str, *, size: int, start_index: str | None = None) -> Request:
        """GET."""
        query = {"id": connection, "disposalDueDate": before, "itemsPerPage": str(size)}
        if start_index is not None:
            query["startIndex"] = start_index
        return Request("GET", f"{self.base_url}{_RECORDS_PATH}?{urlencode(query)}", OPUS_SCOPE, "opus")

    def destroy(self, ids: Sequence[str]) -> Request:
        """DELETE with a body."""
        return self._request("DELETE", {"disposalIds": ids})

    def _request(self, method: Method, body: Mapping[str, object]) -> Request:
        return Request(method, f"{self.base_url}{_RECORDS_PATH}", OPUS_SCOPE, "opus", msgspec.json.encode(body))


@dataclass(frozen=True, slots=True)
class ConnectorApi:
    """The legacy generation: POST for everything, and a dispose path that only AvePoint support knows."""

    generation: ClassVar[Generation] = "connector"
    form: ClassVar[AnswerForm] = CONNECTOR_FORM

    base_url: str
    dispose_path: str

    def submit(self, connection: str, conflict_option: ConflictOption, records: Sequence[Record]) -> Request:
        """Return the conflict option is misspelt as in AvePoint's sample."""
        body = {"id": connection, "confilictOption": conflict_option, "data": records}
        return self._post("/api/connector/SubmitRecords", body)

    def due(self, connection: str, before: str, *, size: int, start_index: str | None = None) -> Request:
        """Return the first page has an empty index."""
        body = {"id": connection, "disposalDueDate": before, "startIndex": start_index or "", "itemsPerPage": size}
        return self._post("/api/connector/GetDueRecords", body)

    def destroy(self, ids: Sequence[str]) -> Request:
        """To the path of the settings."""
        return self._post(f"/{self.dispose_path.lstrip('/')}", {"disposalIds": ids})

    def _post(self, path: str, body: Mapping[str, object]) -> Request:
        return Request("POST", f"{self.base_url}{path}", OPUS_SCOPE, "opus", msgspec.json.encode(body))
