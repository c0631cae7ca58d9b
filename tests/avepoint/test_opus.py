import json
from collections.abc import Sequence
from urllib.parse import parse_qs, urlsplit

import pytest

from shared.avepoint.opus import ConnectorApi, GraphApi, OpusApi, Processed, read_due, read_processed
from shared.avepoint.request import Answer, Request
from shared.errors import BadAnswer

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


def answer(body: object = None, *, status: int = 200, text: bytes | None = None) -> Answer:
    return Answer(status, {}, json.dumps(body).encode() if text is None else text)


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


class TestReadProcessed:
    @pytest.mark.parametrize(
        "whole",
        [
            answer({"statusCode": 201, "message": None}, status=201),
            answer({"statusCode": 200, "message": None, "failedItems": None}),
            answer({"Message": "Success", "FailedItems": []}),
            answer({"statusCode": "200", "message": []}),
            answer(status=204, text=b""),
            answer(status=201, text=b" \n"),
            answer(None),
        ],
    )
    def test_everything_succeeded(self, whole: Answer) -> None:
        assert read_processed(whole, ["a", "b"]) == Processed()

    @pytest.mark.parametrize(
        "failed",
        [
            [{"item": RECORD | {"rowKey": "b"}, "message": "Term not found."}],
            [{"Item": {"RowKey": "b"}, "Message": "Term not found."}],
            [{"item": "b", "message": "Term not found."}],
            [{"rowKey": "b", "message": "Term not found."}],
            [{"id": "b", "error": "Term not found."}],
        ],
    )
    @pytest.mark.parametrize("status", [200, 418])
    def test_some_items_failed(self, failed: Sequence[object], status: int) -> None:
        partly = answer({"statusCode": 418, "message": "Some.", "failedItems": failed}, status=status)

        assert read_processed(partly, ["a", "b"]).failed == {"b": "Term not found."}

    def test_a_bare_row_key_takes_the_reason_of_the_whole(self) -> None:
        partly = answer({"statusCode": 418, "message": "Not approved.", "failedItems": ["a", "b"]}, status=418)

        assert read_processed(partly, ["a", "b"]).failed == {"a": "Not approved.", "b": "Not approved."}

    @pytest.mark.parametrize("message", [None, "", ["x"]])
    def test_an_item_without_a_reason_still_failed(self, message: object) -> None:
        partly = answer({"message": message, "failedItems": ["a"]}, status=418)

        assert read_processed(partly, ["a"]).failed == {"a": "AvePoint names no reason."}

    def test_a_number_names_the_row_key_of_the_same_digits(self) -> None:
        assert read_processed(answer({"failedItems": [{"rowKey": 7}]}, status=418), ["7"]).failed.keys() == {"7"}

    def test_skipped_items_are_known_when_the_answer_tells(self) -> None:
        assert read_processed(answer({"skippedItems": [{"rowKey": "a"}]}), ["a", "b"]).skipped == {"a"}

    @pytest.mark.parametrize(
        "unclear",
        [
            answer(text=b"<html>Welcome</html>"),
            answer(text=b'{"statusCode": 200, "mess'),
            answer(text=b"[" * 100_000),
            answer(["a"]),
            answer("ok"),
            answer({"statusCode": 500, "message": "Oops"}),
            answer({"statusCode": "fine"}),
            answer({"statusCode": True}),
            answer({"failedItems": "a"}, status=418),
            answer({"failedItems": []}, status=418),
            answer({"message": "Some failed."}, status=418),
            answer(status=418, text=b""),
            answer({"failedItems": [{"item": {"rowKey": "c"}}]}, status=418),
            answer({"failedItems": [{"message": "Term not found."}]}, status=418),
            answer({"failedItems": [None]}, status=418),
            answer({"statusCode": 418}),
        ],
    )
    def test_what_proves_nothing_is_an_error(self, unclear: Answer) -> None:
        with pytest.raises(BadAnswer):
            read_processed(unclear, ["a", "b"])


class TestReadDue:
    def test_times_lose_their_trailing_blank(self) -> None:
        page = read_due(answer({"startIndex": None, "statusCode": 200, "queriedItems": [RECORD]}))

        assert page.next_index is None
        assert page.records == (RECORD | {"timeCreated": "2026-01-15 08:30:00", "timeModified": "2026-01-15 08:30:00"},)

    def test_names_are_camel_case_and_keys_text_whatever_came(self) -> None:
        page = read_due(
            answer({"Message": "Success", "PageIndex": 2, "QueriedItems": [{"RowKey": 7, "LeafName": "x"}]})
        )

        assert page.records == ({"rowKey": "7", "leafName": "x"},)
        assert page.next_index == "2"

    @pytest.mark.parametrize(
        "last",
        [
            answer({"startIndex": "", "queriedItems": [RECORD]}),
            answer({"queriedItems": [RECORD]}),
            answer({"startIndex": "100", "queriedItems": []}),
            answer({"startIndex": "100", "queriedItems": None}),
            answer(status=204, text=b""),
        ],
    )
    def test_the_list_ends(self, last: Answer) -> None:
        assert read_due(last).next_index is None

    @pytest.mark.parametrize(
        "unclear",
        [answer(text=b""), answer({"message": "Success"}), answer({"queriedItems": {}}), answer({"queriedItems": [1]})],
    )
    def test_what_is_no_page_is_an_error(self, unclear: Answer) -> None:
        with pytest.raises(BadAnswer):
            read_due(unclear)
