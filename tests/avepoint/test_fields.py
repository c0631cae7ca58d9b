"""The catalogue of fields holds what AvePoint documents; ``documented.jsonl`` is a copy of that, one dataset a line."""

import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
import pytest

from shared.avepoint import fields as module
from shared.avepoint.catalog import BrokenCatalog, Dataset, catalog
from shared.avepoint.fields import Field, Fields, FieldType, fields_of, means_no_time


class Documented(msgspec.Struct):
    """What AvePoint documents of a dataset.

    ``served`` are the names in a sample answer, ``times`` the fields that hold times, ``codes`` what values can be.
    """

    dataset: str
    fields: dict[str, str | None]
    served: list[str]
    times: list[str]
    codes: dict[str, list[str]]
    keys: list[str]
    envelope_keys: list[str]


DOCUMENTED = {
    one.dataset: one
    for line in (Path(__file__).parent / "documented.jsonl").read_bytes().splitlines()
    for one in [msgspec.json.decode(line, type=Documented)]
}
DATASETS = {f"{source}/{name}": dataset for (source, name), dataset in catalog().items()}

_TYPES: dict[str, set[FieldType]] = {
    "boolean": {"boolean"},
    "double": {"double"},
    "integer": {"long", "string", "json"},  # three are text or a list in the samples
    "long": {"long", "timestamp"},  # a time of sign-in is text in its sample
    "enum": {"long"},
    "string": {"string", "timestamp", "long", "json"},  # a few are numbers or lists in the samples
    "object": {"json", "string"},  # the type of a security group is text in its sample
    "list": {"json"},
    "datetime": {"timestamp"},
}
_SPELT = {"bool": "boolean", "int": "integer", "list<int>": "integer", "guid": "string", "sting": "string"}

_TELLS = re.compile(r"status|statusCode|message|errorMessage|success|error", re.IGNORECASE)
_NAMES_PEOPLE = re.compile(r"(UserPrincipalName|Upn|[oO]wnerId|creatorId|(owner|creator|operator)DisplayName)$")


def _named() -> Iterator[tuple[str, Field]]:
    for name, dataset in DATASETS.items():
        for field in fields_of(dataset):
            yield name, field


def _folded(names: Iterable[str]) -> set[str]:
    return set(map(str.casefold, names))


def _fields(name: str) -> Fields:
    return fields_of(DATASETS[name])


class TestAgainstTheDocuments:
    def test_all_datasets_are_there(self) -> None:
        assert set(DATASETS) == set(DOCUMENTED)

    @pytest.mark.parametrize("name", DOCUMENTED)
    def test_every_field_is_there_and_no_other(self, name: str) -> None:
        found = _folded(field.name for field in _fields(name))

        if name == "graph/insights-site-id":  # its items are bare texts, stored under this name
            assert found == {"value"}
        else:
            assert found == _folded(DOCUMENTED[name].fields) | _folded(DOCUMENTED[name].served)

    @pytest.mark.parametrize("name", DOCUMENTED)
    def test_names_are_spelt_as_answers_spell_them(self, name: str) -> None:
        if name.startswith("graph/insights-site-id"):
            return
        assert set(DOCUMENTED[name].served) <= {field.name for field in _fields(name)}

    @pytest.mark.parametrize("name", DOCUMENTED)
    def test_types_are_those_of_the_documents(self, name: str) -> None:
        documented = {field.casefold(): (kind or "").casefold() for field, kind in DOCUMENTED[name].fields.items()}
        for field in _fields(name):
            kind = documented.get(field.name.casefold(), "")
            assert field.type in _TYPES.get(_SPELT.get(kind, kind), {"string", "json", "boolean"}), field.name

    @pytest.mark.parametrize("name", DOCUMENTED)
    def test_documented_times_are_times(self, name: str) -> None:
        assert _folded(DOCUMENTED[name].times) <= _folded(_fields(name).times)

    @pytest.mark.parametrize("name", DOCUMENTED)
    def test_documented_codes_are_there(self, name: str) -> None:
        for field, codes in DOCUMENTED[name].codes.items():
            found = _fields(name).find(field)
            assert found is not None
            assert list(found.codes) == codes

    @pytest.mark.parametrize("name", DOCUMENTED)
    def test_keys_are_fields(self, name: str) -> None:
        assert _folded(DATASETS[name].key) <= _folded(field.name for field in _fields(name))


class TestFailures:
    """Guards that an unclean answer is never an honest empty one: what can tell of a failure is known."""

    @pytest.mark.parametrize("name", DOCUMENTED)
    def test_every_documented_key_that_can_tell_of_a_failure(self, name: str) -> None:
        dataset, keys = DATASETS[name], set(DOCUMENTED[name].envelope_keys)
        told = dataset.failure and {dataset.failure.status, dataset.failure.error, dataset.failure.message} - {None}

        of_item = set(DOCUMENTED[name].fields) if dataset.envelope == "$root" else set()
        assert (told or set()) == {key for key in keys - of_item if _TELLS.fullmatch(key)}


class TestTexts:
    def test_every_dataset_says_what_it_holds(self) -> None:
        for name in DATASETS:
            assert re.fullmatch(r"[A-Z].{10,110}\.", _fields(name).holds), name

    def test_every_field_has_a_sentence(self) -> None:
        for name, field in _named():
            assert re.fullmatch(r"[A-Z\"].{2,130}\.", field.description), f"{name}.{field.name}"
            assert "{" not in field.description


class TestMarks:
    def test_what_names_people_is_personal(self) -> None:
        unmarked = [
            f"{name}.{field.name}"
            for name, field in _named()
            if _NAMES_PEOPLE.search(field.name) and not field.personal
        ]

        assert unmarked == []

    def test_every_list_of_users_has_personal_fields(self) -> None:
        for name in DATASETS:
            if name.endswith(("-users", "-user", "-users-summary", "-signins", "-mailboxes")):
                assert _fields(name).personal, name

    def test_keys_and_json_are_neither_volatile_nor_groups(self) -> None:
        for name, field in _named():
            if field.name.casefold() in _folded(DATASETS[name].key):
                assert not field.volatile, f"{name}.{field.name}"
            if field.type == "json":
                assert not field.group, f"{name}.{field.name}"

    def test_people_are_not_counted_by(self) -> None:
        assert [f"{name}.{field.name}" for name, field in _named() if field.group and field.personal] == []

    def test_counters_of_use_are_volatile(self) -> None:
        assert {"runsLast7Days", "lastRunTime", "flowRuns"} <= set(_fields("graph/enpower-cloudflows").volatile)
        assert {"storageUsed", "itemCount"} <= set(_fields("graph/enpower-mailboxes").volatile)
        assert "sharedUsers" not in _fields("graph/enpower-powerapps").volatile

    def test_object_lists_can_be_counted_by_what_matters(self) -> None:
        assert {"environmentType", "region"} <= set(_fields("graph/enpower-environments").groups)
        assert {"status", "environmentName", "ownerStatus"} <= set(_fields("graph/enpower-powerapps").groups)


class TestEnding:
    def test_every_list_of_jobs_and_runs_has_one(self) -> None:
        ending = {name for name in DATASETS if _fields(name).ending is not None}

        assert ending == {name for name in DATASETS if re.search(r"-(jobs|runs)(-by-module)?$", name)}

    def test_its_fields_are_fields(self) -> None:
        for name in DATASETS:
            if (ending := _fields(name).ending) is not None:
                assert _folded([*ending.status, *filter(None, [ending.end])]) <= _folded(f.name for f in _fields(name))

    @pytest.mark.parametrize(
        ("item", "ended"),
        [
            ({"status": 2, "finishTime": "0001-01-01T00:00:00Z"}, False),
            ({"status": 2, "finishTime": "2026-01-15T08:37:00Z"}, False),  # the status is documented, so it counts
            ({"status": 4, "finishTime": None}, True),
            ({"Status": "7"}, True),
            ({"status": 99, "finishTime": "2026-01-15T08:37:00Z"}, True),  # nobody says what 99 is: the time counts
            ({"status": 99, "finishTime": ""}, False),
            ({"status": None, "finishTime": "N/A"}, False),
            ({}, False),
        ],
    )
    def test_a_backup_job(self, item: dict[str, object], *, ended: bool) -> None:
        ending = _fields("graph/d365-backup-jobs").ending
        assert ending is not None

        assert ending.has_ended(item) is ended

    @pytest.mark.parametrize(
        ("item", "ended"),
        [
            ({"state": "Finished"}, True),
            ({"state": "finished with exception"}, True),
            ({"state": "In Progress", "finishTime": ""}, False),
        ],
    )
    def test_a_status_in_words(self, item: dict[str, object], *, ended: bool) -> None:
        ending = _fields("graph/m365-backup-jobs").ending
        assert ending is not None

        assert ending.has_ended(item) is ended

    def test_a_status_under_either_of_two_names(self) -> None:
        ending = _fields("graph/salesforce-backup-jobs").ending
        assert ending is not None

        assert [ending.has_ended(item) for item in ({"state": 4}, {"status": 1}, {"status": "5"})] == [
            True,
            False,
            False,
        ]

    @pytest.mark.parametrize("value", [None, "", " ", "N/A", "0001-01-01 00:00:00", "1970-01-01T00:00:00Z"])
    def test_no_time(self, value: object) -> None:
        assert means_no_time(value)
        assert not means_no_time("2026-01-15 08:30:00")


class TestReading:
    def test_a_legacy_dataset_has_the_fields_of_its_successor(self) -> None:
        legacy, successor = _fields("enpower/powerapps"), _fields("graph/enpower-powerapps")

        assert [field.name for field in legacy][:3] == ["Id", "AppId", "DisplayName"]
        assert [field.name.casefold() for field in legacy] == [field.name.casefold() for field in successor]

    def test_names_are_found_without_case(self) -> None:
        assert (
            _fields("graph/enpower-mailboxes").find("ID") is _fields("graph/enpower-mailboxes").find("id") is not None
        )
        assert _fields("graph/enpower-mailboxes").find("nothing") is None

    def test_a_dataset_of_no_file_has_no_fields(self) -> None:
        other = Dataset(source="graph", service="", name="other", path="/", scope="s", envelope="data")

        assert list(fields_of(other)) == []

    @pytest.mark.parametrize("text", ["no toml", "[datasets.x]\nholds = 1", "[datasets.x.fields]\na = {}"])
    def test_a_wrong_file_is_named(self, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "_FOLDER", tmp_path)
        (tmp_path / "wrong.toml").write_text(text)
        other = Dataset(source="graph", service="", name="x", family="wrong", path="/", scope="s", envelope="data")

        with pytest.raises(BrokenCatalog, match=r"fields/wrong\.toml"):
            fields_of(other)

    def test_importing_reads_no_file(self) -> None:
        code = "import sys, shared.avepoint.fields as f; sys.exit(f._read.cache_info().currsize)"

        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0  # noqa: S603
