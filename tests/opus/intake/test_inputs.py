from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from pydantic import JsonValue, ValidationError

from shared.errors import InvalidInput, TooLarge
from shared.opus.intake.dates import Dates
from shared.opus.intake.inputs import DestroyInput, RecordInput, SubmitInput, connection_id, due_before, idempotency_key

DATES = Dates(ZoneInfo("Europe/Amsterdam"))
RECORD: dict[str, JsonValue] = {
    "rowKey": "a",
    "leafName": "A",
    "timeCreated": "2026-01-15T08:30:00Z",
    "timeModified": "2026-01-15T08:30:00z",
    "createdBy": "user01",
    "modifiedBy": "user01",
}


def for_opus(**columns: JsonValue) -> dict[str, object]:
    return RecordInput.model_validate(RECORD | columns).for_opus(DATES)


def test_a_record_reaches_opus_under_its_own_names_with_times_of_the_tenant() -> None:
    assert for_opus() == RECORD | {"timeCreated": "2026-01-15T09:30:00", "timeModified": "2026-01-15T09:30:00"}


@pytest.mark.parametrize("value", ["text\nin lines", 7, 1.5, True, [1, 3], ["a@b.example", "c@d.example"], [], "2026"])
def test_custom_columns_pass_as_they_are(value: JsonValue) -> None:
    assert for_opus(**{"_My_%20_Column": value})["_My_%20_Column"] == value


def test_a_time_in_a_custom_column_is_written_as_the_tenant_wants_it() -> None:
    assert for_opus(Closed="2026-07-15T08:30:00Z")["Closed"] == "2026-07-15T10:30:00"


@pytest.mark.parametrize(
    ("column", "written"),
    [
        ({"type": "text", "value": "2026-07-15T08:30:00Z"}, "2026-07-15T08:30:00Z"),
        ({"type": "number", "value": 1.5}, 1.5),
        ({"type": "date", "value": "2026-07-15T08:30:00Z"}, "2026-07-15T10:30:00"),
        ({"type": "date", "value": "2026-07-15"}, "2026-07-15T00:00:00"),
        ("2026-07-15", "2026-07-15T00:00:00"),
        ({"type": "text", "value": "2026-07-15"}, "2026-07-15"),
        ({"type": "choice", "value": 2}, 2),
        ({"type": "multiChoice", "value": [1, 3]}, [1, 3]),
        ({"type": "person", "value": ["a@b.example"]}, ["a@b.example"]),
    ],
)
def test_a_column_may_say_its_type(column: JsonValue, written: JsonValue) -> None:
    assert for_opus(Column=column)["Column"] == written


@pytest.mark.parametrize(
    ("column", "place"),
    [
        ({"type": "text", "value": 7}, "Column.value"),
        ({"type": "number", "value": True}, "Column.value"),
        ({"type": "number", "value": "7"}, "Column.value"),
        ({"type": "date", "value": "today"}, "Column.value"),
        ({"type": "date", "value": "2026-07-15T08:30:00"}, "Column.value"),
        ({"type": "number", "value": 10**400}, "Column.value"),
        (10**400, "Column"),
        ([1, 10**400], "Column"),
        ({"type": "person", "value": ["i:0#.f|membership|ann@contoso.com"]}, "Column.value[0]"),
        ({"type": "choice", "value": 0}, "Column.value"),
        ({"type": "multiChoice", "value": [1, 0]}, "Column.value[1]"),
        ({"type": "choice", "value": 2**64}, "Column.value"),
        ({"type": "multiChoice", "value": [1, 10**300]}, "Column.value[1]"),
        ({"type": "person", "value": ["Jane"]}, "Column.value[0]"),
        ({"type": "person", "value": ["a@b.example"], "x": 1}, "Column.x"),
        ({"type": "choice"}, "Column.value"),
        ({"type": "colour", "value": 1}, "Column"),
    ],
)
def test_a_typed_column_that_breaks_a_rule_is_named_by_its_place(column: JsonValue, place: str) -> None:
    body = SubmitInput.model_validate({"conflictOption": "Skip", "records": [RECORD | {"Column": column}]})

    with pytest.raises(InvalidInput) as caught:
        body.check(most=1)

    assert [detail.target.removeprefix("records[0].") for detail in caught.value.details] == [place]


def test_the_schema_of_a_submit_knows_good_records_only() -> None:
    schema = SubmitInput.model_json_schema()

    assert schema["properties"]["records"]["items"] == {"$ref": "#/$defs/RecordInput"}
    assert {"TextColumn", "DateColumn", "PersonColumn"} <= schema["$defs"].keys()
    assert "BadRecord" not in schema["$defs"]


@pytest.mark.parametrize("day", ["2026-02-30", "1899-12-31", "15.01.2026", 20260115])
def test_a_date_that_is_not_one_is_told_how_one_is_written(day: JsonValue) -> None:
    with pytest.raises(ValidationError, match="a date from 1900 on such as 2026-01-15, or a time"):
        for_opus(Column={"type": "date", "value": day})


@pytest.mark.parametrize("name", ["rowKey", "leafName", "termFullPath", "createdBy"])
def test_a_documented_text_that_looks_like_a_time_is_none(name: str) -> None:
    assert for_opus(**{name: "2026-07-15T08:30:00Z"})[name] == "2026-07-15T08:30:00Z"


def test_a_column_without_a_value_is_left_out() -> None:
    assert for_opus(Closed=None, termFullPath=None).keys() == RECORD.keys()


@pytest.mark.parametrize("blank", [None, "", " "])
@pytest.mark.parametrize("kind", ["text", "number", "date", "choice", "multiChoice", "person"])
def test_a_typed_column_may_be_blank(kind: str, blank: str | None) -> None:
    assert for_opus(Column={"type": kind, "value": blank}).keys() == RECORD.keys()


@pytest.mark.parametrize("value", [{}, [{}], [[1]], [True], [None]])
def test_other_values_of_custom_columns_are_refused(value: JsonValue) -> None:
    with pytest.raises(ValidationError, match="a text, number"):
        for_opus(Column=value)


@pytest.mark.parametrize("name", list(RECORD))
@pytest.mark.parametrize("value", [None, "", " ", 7])
def test_every_documented_field_is_required(name: str, value: JsonValue) -> None:
    with pytest.raises(ValidationError, match=name):
        for_opus(**{name: value})


def test_infinity_is_no_number() -> None:
    with pytest.raises(ValidationError, match="a text, number"):
        RecordInput.model_validate(RECORD | {"Column": float("inf")})


def test_repeated_row_keys_are_all_named() -> None:
    body = SubmitInput.model_validate({"conflictOption": "Skip", "records": [RECORD] * 3})

    with pytest.raises(InvalidInput, match="'a' is already at") as caught:
        body.check(most=10)

    assert [detail.target for detail in caught.value.details] == ["records[1].rowKey", "records[2].rowKey"]


def test_too_many_ids_are_too_large_even_when_they_repeat() -> None:
    with pytest.raises(TooLarge) as caught:
        DestroyInput(ids=["a"] * 4).check(most=3)

    assert "OPUS_DESTROY_MAX_IDS" in caught.value.remedy


def test_a_connection_id_is_written_in_one_way() -> None:
    assert connection_id("B4BBDBBD-CF2D-5C44-939B-BE86BC688035") == "b4bbdbbd-cf2d-5c44-939b-be86bc688035"


@pytest.mark.parametrize(
    "text",
    [
        "b4bbdbbd_cf2d-5c44-939b-be86bc688035",
        "b4bbdbbd-cf2d-5c44-939b-be86bc68803_",
        "urn:uuid:b4bbdbbd-cf2d-5c44-939b-be86bc688035",
        "b4bb-dbbd-cf2d-5c44-939b-be86bc-688035",
        "٢4bbdbbd-cf2d-5c44-939b-be86bc688035",
        "b4bbdbbd-cf2d-5c44-939b-be86bc688035\n",
        " 4bbdbbd-cf2d-5c44-939b-be86bc688035",
        "+4bbdbbd-cf2d-5c44-939b-be86bc688035",
    ],
)
def test_what_is_not_a_connection_id_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        connection_id(text)

    assert caught.value.target == "opusConnectionId"


def test_an_offset_whose_plus_the_url_has_lost_is_told_how_to_write_it() -> None:
    now = datetime(2026, 1, 15, 7, 30, tzinfo=UTC)
    assert due_before("2026-01-15T08:30:00+01:00", DATES, now=now) == now
    with pytest.raises(InvalidInput, match="before") as caught:
        due_before("2026-01-15T08:30:00 01:00", DATES, now=now)

    assert (caught.value.target, caught.value.remedy) == ("before", "Write + as %2B in a URL.")


@pytest.mark.parametrize("key", ["", " a", "ä", "a\n", "x" * 256])
def test_a_key_that_cannot_be_a_key_is_refused(key: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        idempotency_key({"Idempotency-Key": key})

    assert caught.value.target == "Idempotency-Key"


@pytest.mark.parametrize(
    ("headers", "key"),
    [({"Idempotency-Key": "a"}, "a"), ({"Repeatability-Request-ID": "b"}, "b"), ({}, None)],
)
def test_the_key_has_two_names(headers: dict[str, str], key: str | None) -> None:
    assert idempotency_key(headers) == key


def test_two_keys_that_differ_are_refused() -> None:
    assert idempotency_key({"Idempotency-Key": "a", "Repeatability-Request-ID": "a"}) == "a"
    with pytest.raises(InvalidInput, match="differ"):
        idempotency_key({"Idempotency-Key": "a", "Repeatability-Request-ID": "b"})


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("RowKey", "spelt 'rowKey'"),
        ("TermFullPath", "spelt 'termFullPath'"),
        ("", "needs a name"),
        (" ", "needs a name"),
    ],
)
def test_a_column_that_would_be_taken_for_another_is_refused(name: str, complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        for_opus(**{name: "x"})
