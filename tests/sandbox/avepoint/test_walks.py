"""Every documented call, walked as documented, gives exactly what the simulator says it holds."""

from itertools import islice

import pytest

from .conftest import Service
from .documented import DOCUMENTED, LISTS, SIZED
from .walking import NO_PARENTS, parsed, question, read, walk, window

SIZE = 5
OBJECTS = sorted(DOCUMENTED.keys() - LISTS)


@pytest.mark.parametrize("name", LISTS)
async def test_a_walk_collects_what_there_is_byte_by_byte(service: Service, name: str) -> None:
    avepoint = service.avepoint
    for count in (0, 1, SIZE, SIZE + 1, 4 * SIZE + 3):
        avepoint.change({"items": {"*": 3, name: count}, "everyMinutes": 1, "pageSize": {"aos-audit": SIZE}})
        for parents in islice(avepoint.parents(name), 1, 2) if DOCUMENTED[name].parents else [NO_PARENTS]:
            expected = avepoint.items(name, parents, window=window(service))
            found = await walk(service, name, parents, size=SIZE)
            assert [item for page in found for item in page.items] == parsed(expected)
            assert all(
                b",".join(expected[SIZE * n :][: len(page.items)]) in page.content for n, page in enumerate(found)
            )
            assert len(expected) == avepoint.item_count(name)


@pytest.mark.parametrize("name", OBJECTS)
async def test_a_call_for_one_object_gives_that_object(service: Service, name: str) -> None:
    for parents in islice(service.avepoint.parents(name), 2) if DOCUMENTED[name].parents else [NO_PARENTS]:
        [page] = await walk(service, name, parents)
        assert page.content == service.avepoint.item(name, 0, parents)


@pytest.mark.parametrize("name", SIZED)
async def test_pages_have_the_documented_default_and_largest_size(service: Service, name: str) -> None:
    paging = DOCUMENTED[name].paging
    service.avepoint.change({"items": {name: 1001}, "everyMinutes": 1})
    parents = next(service.avepoint.parents(name), NO_PARENTS)
    asked = question(service, name, parents)
    if paging.page_size_param not in DOCUMENTED[name].required:
        assert len(read(name, await asked.ask(service)).items) == (paging.default_page_size or 100)
    if paging.max_page_size:
        asked.set(paging.page_size_param, paging.max_page_size)
        assert len(read(name, await asked.ask(service)).items) == paging.max_page_size


@pytest.mark.parametrize("name", SIZED)
async def test_page_sizes_out_of_bounds_are_400(service: Service, name: str) -> None:
    paging = DOCUMENTED[name].paging
    asked = question(service, name, next(service.avepoint.parents(name), NO_PARENTS))
    for size in (0, -1, "ten", "1.5", *([paging.max_page_size + 1] if paging.max_page_size else [])):
        asked.set(paging.page_size_param, size)
        answer = await asked.ask(service)
        assert (answer.status_code, paging.page_size_param in answer.text) == (400, True)


@pytest.mark.parametrize(
    ("name", "parameter"), [(name, parameter) for name, call in DOCUMENTED.items() for parameter in call.required]
)
async def test_required_parameters_are_required_by_name(service: Service, name: str, parameter: str) -> None:
    asked = question(service, name, next(service.avepoint.parents(name), NO_PARENTS))
    assert (await asked.ask(service)).status_code == 200
    asked.unset(parameter)
    answer = await asked.ask(service)
    assert (answer.status_code, f"{parameter} is required." in answer.text) == (400, True)
