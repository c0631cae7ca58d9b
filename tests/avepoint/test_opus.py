import json
from urllib.parse import parse_qs, urlsplit

import pytest

from shared.avepoint.opus import ConnectorApi, GraphApi, OpusApi
from shared.avepoint.request import Request

CONNECTION = "b4bbdbbd-cf2d-5c44-939b-be86bc688035"
GRAPH = GraphApi("https://graph-us.example")
CONNECTOR = ConnectorApi("https://opus.example", "/api/connector/Dispose")
RECORD = {
    "rowKey": "sample_record_0001",
    "leafName": "Sample record 1",
    "termFullPath": "Connector/Sample-termset/Sample-term",
    "timeCreated": "2026-01-15 08:30:00 ",
    "timeModified": "2026-01-15 08:30:00 ",
    "createdBy": "user01",
    "modifiedBy": "user01",
}


def body_of(request: Request) -> object:
    assert request.body is not None
    return json.loads(request.body)


class TestRequests:
    def test_submit_of_the_current_generation(self) -> None:
        request = GRAPH.submit(CONNECTION, "Overwrite", [RECORD])

        assert (request.method, request.url) == ("POST", "https://graph-us.example/records/connector/records")
        assert (request.scope, request.registration) == ("records.readwrite.all", "opus")
        assert body_of(request) == {"id": CONNECTION, "conflictOption": "Overwrite", "data": [RECORD]}

    def test_destroy_of_the_current_generation_is_a_delete_with_a_body(self) -> None:
        request = GRAPH.destroy(["a", "b"])

        assert (request.method, request.url) == ("DELETE", "https://graph-us.example/records/connector/records")
        assert body_of(request) == {"disposalIds": ["a", "b"]}

    def test_due_of_the_current_generation_asks_in_the_query(self) -> None:
        request = GRAPH.due(CONNECTION, "2026-01-15T08:30:00", size=100, start_index="a+b/=")

        assert (request.method, request.body) == ("GET", None)
        assert parse_qs(urlsplit(request.url).query) == {
            "id": [CONNECTION],
            "disposalDueDate": ["2026-01-15T08:30:00"],
            "itemsPerPage": ["100"],
            "startIndex": ["a+b/="],
        }

    def test_the_first_page_of_the_current_generation_has_no_start_index(self) -> None:
        assert "startIndex" not in GRAPH.due(CONNECTION, "2026-01-15T08:30:00", size=100).url

    def test_submit_of_the_legacy_generation_misspells_the_conflict_option(self) -> None:
        request = CONNECTOR.submit(CONNECTION, "Skip", [RECORD])

        assert (request.method, request.url) == ("POST", "https://opus.example/api/connector/SubmitRecords")
        assert body_of(request) == {"id": CONNECTION, "confilictOption": "Skip", "data": [RECORD]}

    def test_due_of_the_legacy_generation_asks_in_the_body(self) -> None:
        request = CONNECTOR.due(CONNECTION, "2026-04-01 00:59:34", size=15)

        assert (request.method, request.url) == ("POST", "https://opus.example/api/connector/GetDueRecords")
        assert body_of(request) == {
            "id": CONNECTION,
            "disposalDueDate": "2026-04-01 00:59:34",
            "startIndex": "",
            "itemsPerPage": 15,
        }

    @pytest.mark.parametrize("path", ["/api/connector/Dispose", "api/connector/Dispose"])
    def test_destroy_of_the_legacy_generation_goes_to_the_path_of_the_settings(self, path: str) -> None:
        request = ConnectorApi("https://opus.example", path).destroy(["a"])

        assert (request.method, request.url) == ("POST", "https://opus.example/api/connector/Dispose")
        assert body_of(request) == {"disposalIds": ["a"]}

    @pytest.mark.parametrize("api", [GRAPH, CONNECTOR])
    def test_both_generations_are_one_to_their_users(self, api: OpusApi) -> None:
        assert api.destroy(["a"]).registration == "opus"
