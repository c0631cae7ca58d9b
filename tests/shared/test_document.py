"""What several versions of the app read and write: nothing of a newer one is lost, and nothing of it is touched."""

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.clock import LONGEST_WAIT, TOLERANCE, awaited, check_past, is_recent
from shared.document import Document, StoredDocument, StoredValue
from shared.errors import DamagedDocument, FutureTime, NewerDocument, StoredFault

NOW = datetime(2026, 11, 29, tzinfo=UTC)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


class Hold(StoredValue):
    worker_id: str


class Progress(StoredDocument):
    NEWEST: ClassVar[int] = 2

    begun_at: datetime
    hold: Hold | None = None
    pages: int = 0


class View(Document):
    pages: int


def written(**fields: object) -> bytes:
    return json.dumps({"begunAt": "2026-11-29T00:00:00Z"} | fields).encode()


class TestRewriting:
    def test_names_of_a_newer_version_survive(self) -> None:
        data = written(cancelledAt="2026-11-29T01:00:00Z", hold={"workerId": "a", "since": 1, "places": [{"a": None}]})
        rewritten = Progress.from_json(data).model_copy(update={"pages": 7}).to_json()
        assert json.loads(rewritten) == json.loads(data) | {"pages": 7, "schema": 1}

    @given(st.dictionaries(st.text(alphabet="xyz_", min_size=1), JSON))
    def test_whatever_they_hold(self, unknown: dict[str, object]) -> None:
        kept = json.loads(Progress.from_json(written(**unknown)).to_json())
        assert {name: kept[name] for name in unknown} == unknown

    def test_an_answer_shows_what_is_known_only(self) -> None:
        assert json.loads(View.from_json(b'{"pages": 1, "secret": 2}').to_json()) == {"pages": 1}


class TestSchema:
    def test_a_document_from_before_there_was_one_is_read(self) -> None:
        assert Progress.from_json(written()).schema_version == 1

    def test_a_known_one_is_kept(self) -> None:
        assert json.loads(Progress.from_json(written(schema=2)).to_json())["schema"] == 2

    @pytest.mark.parametrize("fields", [{}, {"begunAt": {"at": 1, "by": 2}}], ids=["as known", "of other fields"])
    def test_a_higher_one_is_left_to_the_version_that_knows_it(self, fields: dict[str, object]) -> None:
        with pytest.raises(NewerDocument, match="Progress has schema 3, and this version of the app reads up to 2"):
            Progress.from_json(written(schema=3, **fields))


class TestDamage:
    @pytest.mark.parametrize(
        "data",
        [b"", b"{", b"[]", b"\xff", b"null", written(schema=0), written(schema="x"), written(pages="many")],
    )
    def test_is_named(self, data: bytes) -> None:
        with pytest.raises(DamagedDocument, match="a stored Progress cannot be read"):
            Progress.from_json(data)

    @pytest.mark.parametrize("instant", ["2026-11-29T00:00:00", "9999-12-31T00:00:00Z"])
    def test_a_time_nobody_can_reckon_with(self, instant: str) -> None:
        with pytest.raises(DamagedDocument):
            Progress.from_json(written(begunAt=instant))

    def test_values_are_not_repeated(self) -> None:
        with pytest.raises(DamagedDocument) as caught:
            Progress.from_json(written(pages="hunter2"))
        assert "pages" in str(caught.value)
        assert "hunter2" not in str(caught.value)

    @given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
    def test_nothing_else_is_ever_raised(self, data: bytes) -> None:
        with suppress(StoredFault):
            Progress.from_json(data)


class TestTimes:
    def test_clocks_may_be_a_little_apart(self) -> None:
        assert check_past(NOW + TOLERANCE, now=NOW, what="finishedAt") == NOW + TOLERANCE

    def test_later_is_a_fault_with_a_name(self) -> None:
        with pytest.raises(FutureTime, match="finishedAt of latest is 2027-11-29") as caught:
            check_past(NOW + timedelta(days=365), now=NOW, what="finishedAt of latest")
        assert caught.value.remedy

    def test_what_is_still_to_come_is_not_recent(self) -> None:
        minute = timedelta(minutes=1)
        moments = {-minute: True, minute: True, -2 * minute: False, TOLERANCE + minute: False}
        found = {one: is_recent(NOW + one, within=2 * minute, now=NOW) for one in moments}
        assert found == moments

    def test_nothing_is_waited_for_longer_than_anything_waits(self) -> None:
        for ahead in (timedelta(seconds=1), LONGEST_WAIT, LONGEST_WAIT + TOLERANCE):
            assert awaited(NOW + ahead, now=NOW) == NOW + ahead
        for ahead in (timedelta(0), timedelta(days=-1), LONGEST_WAIT + 2 * TOLERANCE):
            assert awaited(NOW + ahead, now=NOW) is None
        assert awaited(None, now=NOW) is None
