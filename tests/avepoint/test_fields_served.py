"""What the simulated AvePoint serves fits the catalogue of fields; both were written from the same documents, apart."""

import json
import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType

import pytest

from sandbox.avepoint import AvePoint, Settings
from shared.avepoint.catalog import Dataset
from shared.avepoint.fields import Field, FieldType, fields_of, means_no_time
from tests.harvest.every import EVERY, name_of, resource_of

_NO_PARENTS: Mapping[str, str] = MappingProxyType({})
_TIME = re.compile(r"\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?")
_MAIL = re.compile(r"\w@\w+\.example")
_WHOLE = re.compile(r"0|-?[1-9]\d*")
_FEW = AvePoint(Settings(items=40))

JOBS = [dataset for dataset in EVERY if fields_of(dataset).ending is not None]


def _items(dataset: Dataset, avepoint: AvePoint = _FEW) -> Iterator[dict[str, object]]:
    name = resource_of(dataset)
    for item in avepoint.items(name, next(avepoint.parents(name), _NO_PARENTS)):
        shown = json.loads(item)
        yield shown if isinstance(shown, dict) else {"value": shown}


def _fits(value: object, kind: FieldType) -> bool:
    match kind:
        case "boolean":
            return isinstance(value, bool)
        case "long":
            return (isinstance(value, int) and not isinstance(value, bool)) or bool(_WHOLE.fullmatch(str(value)))
        case "double":
            return isinstance(value, int | float)
        case "string":
            return isinstance(value, str)
        case "timestamp":
            return means_no_time(value) or bool(_TIME.fullmatch(str(value)))
        case "json":
            return True


@pytest.mark.parametrize("dataset", EVERY, ids=name_of)
def test_every_value_fits_the_type_of_its_field(dataset: Dataset) -> None:
    fields = fields_of(dataset)
    misfits = set[str]()
    for item in _items(dataset):
        for name, value in item.items():
            field = fields.find(name)
            assert isinstance(field, Field), name
            if value is not None and not _fits(value, field.type):
                misfits.add(f"{name}: {value!r} is no {field.type}")

    assert misfits == set()


@pytest.mark.parametrize("dataset", EVERY, ids=name_of)
def test_objects_and_lists_are_json(dataset: Dataset) -> None:
    fields = fields_of(dataset)
    nested = {name for item in _items(dataset) for name, value in item.items() if isinstance(value, dict | list)}

    assert {name for name in nested if (field := fields.find(name)) is None or field.type != "json"} == set()


@pytest.mark.parametrize("dataset", JOBS, ids=name_of)
def test_jobs_that_run_have_not_ended_and_the_others_have(dataset: Dataset) -> None:
    ending, name = fields_of(dataset).ending, resource_of(dataset)
    assert ending is not None
    running = AvePoint(Settings(items={name: 5}, unfinished={name: 2}))

    ended = [ending.has_ended(item) for item in _items(dataset, running)]
    if name.startswith("elements-customer-jobs"):  # in the documents, too, none of them has ended
        assert not all(ended)
    else:
        assert sorted(ended) == [False, False, True, True, True]


@pytest.mark.parametrize("dataset", EVERY, ids=name_of)
def test_what_shows_mail_addresses_of_people_is_personal(dataset: Dataset) -> None:
    fields = fields_of(dataset)
    shown = {name for item in _items(dataset) for name, value in item.items() if _MAIL.search(json.dumps(value))}

    of_groups = {"mail", "emailAddress"} if dataset.name.startswith("enpower-eol-") else set()
    assert {name for name in shown - of_groups if (field := fields.find(name)) is None or not field.personal} == set()
