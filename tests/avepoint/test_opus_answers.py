"""Promise 7: only what the documents call an answer proves an outcome. Promise 9: an unclean list is never empty."""

import json
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.avepoint.opus_answers import CONNECTOR_FORM, GRAPH_FORM, AnswerForm, Processed, read_due, read_processed
from shared.avepoint.request import Response
from shared.errors import BadResponse

GRAPH, LEGACY = GRAPH_FORM, CONNECTOR_FORM
RECORD = {
    "rowKey": "sample_record_0001",
    "leafName": "Sample record 1",
    "timeCreated": "2026-01-15 08:30:00 ",
    "timeModified": "2026-01-15 08:30:00 ",
}


def answer(body: object = None, *, status: int = 200, text: bytes | None = None) -> Response:
    return Response(status, {}, json.dumps(body).encode() if text is None else text)


class TestReadProcessed:
    @pytest.mark.parametrize(
        ("form", "whole"),
        [
            (GRAPH, answer({"statusCode": 201, "message": None}, status=201)),
            (GRAPH, answer({"statusCode": 200, "message": None, "failedItems": None})),
            (GRAPH, answer({"statusCode": 200, "message": [], "failedItems": []})),
            (GRAPH, answer({"statusCode": 200})),
            (GRAPH, answer(status=204, text=b"")),
            (LEGACY, answer({"Message": "Success", "FailedItems": []})),
            (LEGACY, answer({"message": "Success"})),
        ],
    )
    def test_everything_succeeded(self, form: AnswerForm, whole: Response) -> None:
        assert read_processed(whole, ["a", "b"], form) == Processed()

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

        assert read_processed(partly, ["a", "b"], GRAPH).failed == {"b": "Term not found."}

    def test_the_legacy_generation_names_row_keys(self) -> None:
        partly = answer({"message": "Not approved.", "failedItems": ["a"]})

        assert read_processed(partly, ["a", "b"], LEGACY).failed == {"a": "Not approved."}

    @pytest.mark.parametrize("message", [None, "", ["x"]])
    def test_an_item_without_a_reason_still_failed(self, message: object) -> None:
        partly = answer({"statusCode": 418, "message": message, "failedItems": ["a"]}, status=418)

        assert read_processed(partly, ["a"], GRAPH).failed == {"a": "AvePoint names no reason."}

    def test_a_reason_has_an_end_and_no_secret(self) -> None:
        said = "See https://a.example/x?sig=abcdef with Bearer abcdefgh, \ud800 " + "x" * 5000
        partly = answer({"failedItems": [{"rowKey": "a", "message": said}]}, status=418)

        reason = read_processed(partly, ["a"], GRAPH).failed["a"]

        assert reason.startswith("See https://a.example/x?*** with Bearer ***, ? xxx")
        assert len(reason) == 1000

    def test_a_number_names_the_row_key_of_the_same_digits(self) -> None:
        partly = answer({"failedItems": [{"rowKey": 7}]}, status=418)

        assert read_processed(partly, ["7"], GRAPH).failed.keys() == {"7"}

    @pytest.mark.parametrize("named", ["Key-1", "KEY-1", "key-1 ", "\tkey-1"])
    def test_an_id_is_known_again_in_other_case_and_with_blanks(self, named: str) -> None:
        partly = answer({"statusCode": 418, "failedItems": [named]}, status=418)

        assert read_processed(partly, ["key-1", "key-2"], GRAPH).failed.keys() == {"key-1"}

    def test_an_id_that_could_mean_two_is_no_proof(self) -> None:
        partly = answer({"statusCode": 418, "failedItems": ["KEY-1"]}, status=418)

        with pytest.raises(BadResponse, match="not sent"):
            read_processed(partly, ["key-1", "Key-1"], GRAPH)

    def test_of_two_alike_the_one_that_is_named_exactly_failed(self) -> None:
        partly = answer({"statusCode": 418, "failedItems": ["Key-1"]}, status=418)

        assert read_processed(partly, ["key-1", "Key-1"], GRAPH).failed.keys() == {"Key-1"}

    @pytest.mark.parametrize(
        "unclear",
        [
            answer(text=b"<html>Welcome</html>"),
            answer(text=b'{"statusCode": 200, "mess'),
            answer(text=b'{"statusCode": 200, "statusCode": 200}'),
            answer(text=b"[" * 100_000),
            answer(text=b""),
            answer(status=201, text=b" \n"),
            answer(status=204, text=b"{}"),
            answer(None),
            answer(["a"]),
            answer("ok"),
            answer({}),
            answer({"message": "queued"}),
            answer({"success": False, "message": "no"}),
            answer({"success": True, "statusCode": 200, "message": None}),
            answer({"statusCode": 200, "error": "Oops"}),
            answer({"statusCode": 200, "errors": []}),
            answer({"statusCode": 202, "message": None}, status=202),
            answer({"statusCode": 200, "message": None}, status=202),
            answer({"statusCode": 200, "results": [{"rowKey": "a", "status": 200}]}, status=207),
            answer({"statusCode": 500, "message": "Oops"}),
            answer({"statusCode": "200"}),
            answer({"statusCode": "fine"}),
            answer({"statusCode": True}),
            answer({"statusCode": [200]}),
            answer({"statusCode": 200, "message": {"a": 1}}),
            answer({"statusCode": 200, "failedItems": {}}),
            answer({"failedItems": "a"}, status=418),
            answer({"failedItems": []}, status=418),
            answer({"statusCode": 200, "failedItems": ["a"]}, status=418),
            answer({"message": "Some failed."}, status=418),
            answer(status=418, text=b""),
            answer({"failedItems": [{"item": {"rowKey": "c"}}]}, status=418),
            answer({"failedItems": [{"message": "Term not found."}]}, status=418),
            answer({"failedItems": [None]}, status=418),
            answer({"statusCode": 418}),
            answer(status=418, text=b'{"failedItems": [{"rowKey": "a", "rowKey": "b"}]}'),
            answer({"failedItems": [{"rowKey": "a", "RowKey": "b"}]}, status=418),
            answer({"failedItems": [{"item": {"rowKey": "a", "ROWKEY": "b"}}]}, status=418),
            answer({"statusCode": float("nan")}),
        ],
    )
    def test_what_proves_nothing_is_an_error(self, unclear: Response) -> None:
        with pytest.raises(BadResponse):
            read_processed(unclear, ["a", "b"], GRAPH)

    @pytest.mark.parametrize(
        "unclear",
        [
            answer({"failedItems": []}),
            answer({"message": None}),
            answer({"Message": [], "FailedItems": []}),
            answer({"message": "Success", "statusCode": 500}),
            answer({"message": "Success", "success": False}),
            answer({"message": "Success"}, status=202),
            answer(status=204, text=b""),
            answer({"message": "Success", "failedItems": ["c"]}),
        ],
    )
    def test_what_the_legacy_pages_do_not_show_proves_nothing(self, unclear: Response) -> None:
        with pytest.raises(BadResponse):
            read_processed(unclear, ["a", "b"], LEGACY)

    @given(
        body=st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["statusCode", "message", "failedItems", "success", "rowKey", "x"]), inner
                )
            ),
        ),
        status=st.sampled_from([200, 201, 202, 204, 207, 418]),
    )
    def test_whatever_comes_it_is_read_or_refused(self, body: object, status: int) -> None:
        try:
            processed = read_processed(answer(body, status=status), ["a"], GRAPH)
        except BadResponse:
            return
        assert isinstance(body, dict)
        assert body.keys() <= {"statusCode", "message", "failedItems"}
        assert processed.failed.keys() <= {"a"}


class TestReadDue:
    def test_times_lose_their_trailing_blank(self) -> None:
        page = read_due(answer({"startIndex": None, "statusCode": 200, "queriedItems": [RECORD]}), GRAPH)

        assert page.next_index is None
        assert page.records == (RECORD | {"timeCreated": "2026-01-15 08:30:00", "timeModified": "2026-01-15 08:30:00"},)

    def test_names_are_camel_case_and_keys_text_whatever_came(self) -> None:
        came = {"Message": "Success", "PageIndex": "2", "QueriedItems": [{"RowKey": 7, "LeafName": "x"}]}

        page = read_due(answer(came), LEGACY)

        assert page.records == ({"rowKey": "7", "leafName": "x"},)
        assert page.next_index == "2"

    @pytest.mark.parametrize(
        "last",
        [
            answer({"startIndex": "", "queriedItems": [RECORD]}),
            answer({"startIndex": " ", "queriedItems": [RECORD]}),
            answer({"queriedItems": [RECORD]}),
            answer({"startIndex": "100", "queriedItems": []}),
            answer(status=204, text=b""),
        ],
    )
    def test_the_list_ends(self, last: Response) -> None:
        assert read_due(last, GRAPH).next_index is None

    @pytest.mark.parametrize(
        "unclear",
        [
            answer(text=b""),
            answer({"message": "Success"}),
            answer({"queriedItems": {}}),
            answer({"queriedItems": None}),
            answer({"queriedItems": [1]}),
            answer({"statusCode": 500, "queriedItems": []}),
            answer({"success": False, "queriedItems": []}),
            answer({"error": "Oops", "queriedItems": []}),
            answer({"pageIndex": "1", "queriedItems": [RECORD]}),
            answer({"startIndex": True, "queriedItems": []}),
            answer({"startIndex": "\ud800", "queriedItems": [RECORD]}),
            answer(text=b'{"queriedItems": [{"rowKey": "a", "rowKey": "b"}]}'),
            answer({"queriedItems": [{"RowKey": "a", "rowKey": "b"}]}),
            answer({"queriedItems": [{"rowKey": "a", "ROWKEY": "b"}]}),
            answer(text=b'{"queriedItems": [{"rowKey": "a", "Amount": 1e999}]}'),
            answer(text=b'{"queriedItems": [{"rowKey": "a", "Amount": NaN}]}'),
        ],
    )
    def test_what_is_no_page_is_an_error(self, unclear: Response) -> None:
        with pytest.raises(BadResponse):
            read_due(unclear, GRAPH)

    @pytest.mark.parametrize(
        "key", [{}, {"rowKey": None}, {"rowKey": ""}, {"rowKey": " "}, {"rowKey": True}, {"rowKey": "a\ud83d"}]
    )
    def test_a_record_without_a_row_key_is_named_by_its_position(self, key: dict[str, object]) -> None:
        with pytest.raises(BadResponse, match=r"queriedItems\[1\]"):
            read_due(answer({"queriedItems": [RECORD, {"leafName": "x"} | key]}), GRAPH)
