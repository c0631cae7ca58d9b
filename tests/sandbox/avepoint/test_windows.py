"""Lists with a time filter hold one item every so many minutes, and serve those within the window."""

from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest

from sandbox.avepoint.windows import Events, Span
from sandbox.demo.snapshots import compared
from sandbox.readback import Snapshot

from .conftest import Service
from .documented import DOCUMENTED, WINDOWED
from .walking import NO_PARENTS, dig, parsed, question, read, walk

NOW = datetime(2027, 1, 15, 8, tzinfo=UTC)
SHOWN = {
    "aos-audit": "actionTime",
    "dmso-audits": "actionTime",
    "enpower-agent-activities": "creationTime",
    "enpower-desktopflow-runs": "startTime",
    "google-backup-jobs": "startTime",
    "iaas-backup-jobs": "startTime",
    "m365-backup-jobs": "startTime",
    "salesforce-monitor-alerts": "collectTime",
    "salesforce-unusual-activities": "latestDetectedDate",
}
AUDIT = "/aos/audit"
LAUNCHES = "enpower-powerapp-launches"


def hours(number: float) -> timedelta:
    return timedelta(hours=number)


@pytest.mark.parametrize("name", WINDOWED)
async def test_exactly_the_items_of_the_window_are_served(service: Service, name: str) -> None:
    service.avepoint.change({"items": {"*": 3, name: 40}, "now": NOW.isoformat()})
    since, until = NOW - hours(30), NOW - hours(7.5)
    for parents in islice(service.avepoint.parents(name), 2) if DOCUMENTED[name].parents else [NO_PARENTS]:
        asked = question(service, name, parents, size=40)
        for parameter, moment in zip(DOCUMENTED[name].window or (), (since, until), strict=True):
            asked.set(parameter, f"{moment:%Y-%m-%dT%H:%M:%SZ}")
        expected = service.avepoint.items(name, parents, window=(since, until))
        assert read(name, await asked.ask(service)).items == parsed(expected)
        assert len(expected) == 23


@pytest.mark.parametrize(("name", "field"), SHOWN.items())
def test_items_show_when_they_happened(service: Service, name: str, field: str) -> None:
    service.avepoint.change({"now": "2027-01-15T08:59:59Z", "everyMinutes": 30})
    parents = next(service.avepoint.parents(name), NO_PARENTS)
    newest, second = parsed(service.avepoint.items(name, parents))[:2]
    times = [str(dig(item, field)).replace(" ", "T") for item in (newest, second)]
    assert [time[:19] for time in times] == ["2027-01-15T08:30:00", "2027-01-15T08:00:00"]


async def test_an_item_keeps_its_bytes_as_time_goes_by(service: Service) -> None:
    service.avepoint.change({"items": {"aos-audit": 40}, "now": NOW.isoformat()})
    before = service.avepoint.items("aos-audit")
    service.avepoint.change({"now": (NOW + hours(5)).isoformat()})
    after = service.avepoint.items("aos-audit")
    assert (len(before), after[5:]) == (40, before[:-5])
    assert service.avepoint.items("aos-audit", window=(None, NOW)) == before[:35]


async def test_without_a_now_the_clock_decides(service: Service) -> None:
    first = service.avepoint.item("aos-audit", 0)
    service.clock.now += 3600
    assert service.avepoint.item("aos-audit", 1) == first


@pytest.mark.parametrize(("end", "count"), [("inclusive", 4), ("exclusive", 3)])
async def test_the_end_belongs_to_the_window_or_not(service: Service, end: str, count: int) -> None:
    service.avepoint.change({"windowEnd": {"aos-audit": end}})
    query = {"startTime": "2027-01-15T04:00:00Z", "endTime": "2027-01-15T07:00:00Z"}
    assert len((await service.client.get(AUDIT, params=query)).json()["data"]) == count


@pytest.mark.parametrize(
    ("since", "until", "count"),
    [
        ("2027-01-15T04:00:00Z", "2027-01-15T06:00:00Z", 3),
        ("2027-01-15T04:00:00.000001Z", "2027-01-15T05:59:59.999Z", 1),
        ("2027-01-15T05:00:00+01:00", "2027-01-15T08:00:00+02:00", 3),
        ("2027-01-15 04:00:00", "2027-01-15T06:00:00", 3),
        ("1/15/2027 04:00:00", "12/31/9999 23:59:59", 5),
        ("1/1/0001 12:00:00", "2027-01-15 06:00", 8),
        ("2027-01-15", "2027-01-15", 1),
        ("2027-01-14", "2027-01-15", 2),
    ],
)
async def test_times_are_read_in_the_forms_that_appear(service: Service, since: str, until: str, count: int) -> None:
    service.avepoint.change({"items": {LAUNCHES: 10}})
    parents = next(service.avepoint.parents(LAUNCHES))
    asked = question(service, LAUNCHES, parents)
    asked.query |= {"fromDate": since, "toDate": until}
    assert len(read(LAUNCHES, await asked.ask(service)).items) == count


async def test_times_without_a_zone_can_be_local(service: Service) -> None:
    service.avepoint.change({"windowZoneMinutes": 120})
    query = {"startTime": "2027-01-15T06:00:00", "endTime": "2027-01-15T07:00:00Z"}
    assert len((await service.client.get(AUDIT, params=query)).json()["data"]) == 4


async def test_a_day_alone_can_mean_its_last_instant(service: Service) -> None:
    service.avepoint.change({"windowDay": "end", "items": {"m365-unusual-activities": 30}})
    query = {"startTime": "2027-01-14", "finishTime": "2027-01-14"}
    answer = await service.client.get("/backup/m365/cloudbackupunusualactivitydata", params=query)
    assert len(answer.json()["data"]["data"]) == 21


async def test_an_audit_window_is_at_most_seven_days(service: Service) -> None:
    query = {"startTime": "2027-01-01T00:00:00Z", "endTime": "2027-01-08T00:00:00Z"}
    assert (await service.client.get(AUDIT, params=query)).status_code == 200
    answer = await service.client.get(AUDIT, params={**query, "endTime": "2027-01-08T00:00:01Z"})
    assert (answer.status_code, "endTime must be at most 7 days after startTime." in answer.text) == (400, True)


@pytest.mark.parametrize(
    "query", [{"startTime": "yesterday"}, {"endTime": "2027-13-01"}, {"startTime": "2027-01-16T00:00:00Z"}]
)
async def test_windows_that_are_none_are_400_by_name(service: Service, query: dict[str, str]) -> None:
    usual = {"startTime": "2027-01-14T00:00:00Z", "endTime": "2027-01-15T00:00:00Z"}
    answer = await service.client.get(AUDIT, params=usual | query)
    assert (answer.status_code, next(iter(query)) in answer.text) == (400, True)


async def test_audits_of_dmso_go_back_a_week_unless_told(service: Service) -> None:
    service.avepoint.change({"items": {"dmso-audits": 500}, "pageSize": 200})
    assert [len(page.items) for page in await walk(service, "dmso-audits", size=200)] == [169]
    answer = await service.client.get("/dmso/audits", params={"pageSize": 200})
    assert len(answer.json()["data"]) == 169


def test_the_time_line_has_a_beginning() -> None:
    events = Events(datetime(1, 1, 1, 5, tzinfo=UTC), count=1_000, step=timedelta(hours=1))
    assert list(events.numbers()) == [5, 4, 3, 2, 1, 0]
    assert not events.numbers(Span(datetime(2, 1, 1, tzinfo=UTC), None))


@pytest.mark.parametrize(
    ("items", "fault"),
    [(20, None), (19, None), (18, "18 items, AvePoint holds 19 to 20"), (21, "21 items, AvePoint holds 19 to 20")],
)
async def test_a_list_may_lose_its_oldest_item_between_harvest_and_comparison(
    service: Service, items: int, fault: str | None
) -> None:
    """The window ends a minute before the hour; AvePoint holds the 20 newest items, of which one happens each hour."""
    service.avepoint.change({"items": {"aos-audit": 20}})
    service.clock.now = (NOW + timedelta(minutes=2)).timestamp()
    window = ((NOW - hours(48)).isoformat(), (NOW - timedelta(minutes=1)).isoformat())
    snapshot = Snapshot("graph", "aos-audit", items, 1, 1, "complete", "", window, None, ())
    found = await compared(service.client, str(service.client.base_url), snapshot)
    assert found.faults == ((fault,) if fault else ())
