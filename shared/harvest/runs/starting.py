"""Starting a run: from a tick of a timer, or because somebody asks for it."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial
from math import ceil, prod
from typing import Literal

from shared.avepoint.catalog import Dataset
from shared.avepoint.fields import fields_of
from shared.avepoint.platform import Source
from shared.azure.damage import note_unusable, unless_unusable
from shared.document import Document
from shared.errors import StoredFault
from shared.harvest.plan import paths
from shared.harvest.plan.capacity import Pace, estimate
from shared.harvest.plan.choosing import configured, requested
from shared.harvest.plan.plan import ParentSnapshot, PlannedDataset, Timing, least_requests
from shared.harvest.plan.run import Run, Trigger, new_run, random_suffix, read_run, unfinished
from shared.harvest.plan.windows import Window, next_window
from shared.harvest.runs.backfilling import backfill_timing, check_stretch, is_met_by_the_other_kind, windowed
from shared.harvest.runs.start_order import announce, begin, begin_announced, wake_untaken
from shared.harvest.runs.state import held, view
from shared.harvest.slices.parents.selection import select_parents
from shared.harvest.snapshots.manifest import read_latest
from shared.harvest.snapshots.watermark import read_watermark
from shared.schedule import Schedule
from shared.services import Services, limits_of
from shared.settings import Settings

TICK_TOLERANCE = timedelta(seconds=60)
UNFINISHED_GRACE = timedelta(hours=1)
GRACE_FOR_ENDS = timedelta(days=1)
"""How far each window of jobs and runs reaches back at least: some lists give only those that start and end in it."""

ASSUMED_LATENCY = timedelta(milliseconds=200)
"""What an answer of AvePoint takes, when nobody has measured it."""


class DatasetPlan(Document):
    """What a run would do with one dataset; with a reason when it would leave it out."""

    dataset: str
    partitions: int
    parents: int | None
    """How many parents a child dataset would be asked for."""
    least_requests: int
    """Judged by the newest snapshot; without one, a request a partition, or a parent."""
    skipped: str | None = None
    remedy: str | None = None


class RunPlan(Document):
    """What a run would do."""

    source: Source
    datasets: tuple[DatasetPlan, ...]
    least_requests: int
    least_seconds: int
    """With ``ASSUMED_LATENCY`` a request, one instance, and a whole window of the request budget."""
    bound_by: Literal["latency", "budget"]


def tick_of(due: datetime | None, now: datetime, schedule: Schedule) -> datetime | None:
    """Return the tick that a run is named after, or ``None`` when the timer was fired by hand.

    After a standstill the host names the oldest tick that was missed; the run is named after the newest that is due.

    Args:
        due: ``ScheduleStatus.Next`` as the host passes it: what is due now, unless it lies ahead.
    """
    if due is None or due > now + TICK_TOLERANCE:
        return None
    return max(due, schedule.latest(now) or due)


async def start_scheduled(services: Services, source: Source, *, due: datetime | None) -> Run | None:
    """Start the configured datasets of ``source``; the same tick twice is one run.

    Returns:
        The run, or ``None`` when no dataset is configured.

    Raises:
        Misconfigured: A configured name matches no dataset, or the source has no base URL.
    """
    datasets = configured(services.settings, source)
    if not datasets:
        return None
    services.settings.base_url(source)
    now = services.clock()
    tick = tick_of(due, now, services.settings.schedule(source))
    run_id = paths.run_id(source, tick) if tick else paths.run_id(source, now, suffix=random_suffix())
    trigger: Trigger = "timer" if tick else "admin"
    standing = partial(_begun_before, services, run_id)
    return await _start(services, run_id, source, trigger, datasets, standing=standing)


async def start_requested(
    services: Services, source: Source, names: Sequence[str] | None, *, stretch: Window | None = None
) -> Run:
    """Start the datasets somebody asks for; while a run that holds all of them is unfinished, it is that run.

    Args:
        names: Names or globs; ``None`` for the configured ones.
        stretch: A past stretch of time, for windowed datasets only: their watermarks stay where they are.

    Raises:
        InvalidInput: A name or glob matches nothing, or there is nothing to do.
        Misconfigured: A configured name matches no dataset, or the source has no base URL.
    """
    datasets = _wanted(services, source, names, stretch)
    services.settings.base_url(source)
    run_id = paths.run_id(source, services.clock(), suffix=random_suffix())
    standing = partial(_holder_of_all, services, source, datasets, stretch)
    return await _start(services, run_id, source, "http", datasets, standing=standing, stretch=stretch)


def _wanted(services: Services, source: Source, names: Sequence[str] | None, stretch: Window | None) -> list[Dataset]:
    if stretch is not None:
        check_stretch(stretch, services.clock())
    datasets = requested(services.settings, source, names)
    return datasets if stretch is None else windowed(source, datasets, names)


async def _begun_before(services: Services, run_id: str) -> Run | None:
    """Return the run of the same tick, once what its starter may have left out has been sent."""
    run = await read_run(services.storage, run_id)
    if run is not None and run.finished_at is None:
        await wake_untaken(services.storage, run)
    return run


async def _start(
    services: Services,
    run_id: str,
    source: Source,
    trigger: Trigger,
    datasets: Sequence[Dataset],
    *,
    standing: Callable[[], Awaitable[Run | None]],
    stretch: Window | None = None,
) -> Run:
    """Begin a new run unless there is one ``standing``, whoever else starts one at the same time."""
    while True:
        last = await begin_announced(services.storage, source, now=services.clock())
        run = await standing()
        if run is not None:
            return run
        run = await _new_run(services, run_id, source, trigger, datasets, stretch=stretch)
        if await announce(services.storage, run, after=last):
            return await begin(services.storage, run)


async def plan_requested(
    services: Services, source: Source, names: Sequence[str] | None, *, stretch: Window | None = None
) -> RunPlan:
    """Return what ``start_requested`` would do; raises what it would raise."""
    datasets = _wanted(services, source, names, stretch)
    services.settings.base_url(source)
    run = await _new_run(services, paths.run_id(source, services.clock()), source, "http", datasets, stretch=stretch)
    planned = tuple([await _plan(services, *pair) for pair in zip(datasets, run.datasets, strict=True)])
    requests = sum(one.least_requests for one in planned)
    found = estimate(requests, _pace(services.settings, planned), limits_of(services.settings))
    return RunPlan(
        source=source,
        datasets=planned,
        least_requests=requests,
        least_seconds=ceil(found.lasts.total_seconds()),
        bound_by=found.bound_by,
    )


def _pace(settings: Settings, planned: Sequence[DatasetPlan]) -> Pace:
    chains = max(1, sum(one.partitions for one in planned))
    return Pace(ASSUMED_LATENCY, chains, concurrency=settings.throttle_concurrency)


async def _new_run(
    services: Services,
    run_id: str,
    source: Source,
    trigger: Trigger,
    datasets: Sequence[Dataset],
    *,
    stretch: Window | None,
) -> Run:
    settings, now = services.settings, services.clock()
    lasts = timedelta(hours=settings.run_hours)
    holders = await held(services.storage, source, within=lasts + UNFINISHED_GRACE, now=now)
    timings = {one.name: await _timing(services, one, stretch) for one in datasets if one.window or one.parent}
    parents, faults = await _parents(services, datasets)
    timings |= {name: timings[name].model_copy(update={"fault": fault}) for name, fault in faults.items()}
    backfill = stretch is not None
    kinds = {name: {backfill, backfill != timing.alone} for name, timing in timings.items()}
    return new_run(
        run_id,
        source,
        trigger,
        datasets,
        tenants=settings.tenants,
        held={name: run for (name, kind), run in holders.items() if kind in kinds.get(name, {False})},
        timings=timings,
        parents=parents,
        now=now,
        lasts=lasts,
        stretch=stretch,
    )


async def _timing(services: Services, dataset: Dataset, stretch: Window | None) -> Timing:
    """Return the next window of a dataset, if there is one, and where what is remembered of the last harvest is."""
    if stretch is not None:
        return await backfill_timing(services, dataset, stretch)
    try:
        watermark = await read_watermark(services.storage, dataset.source, dataset.name, now=services.clock())
    except StoredFault as fault:
        note_unusable(paths.watermark(dataset.source, dataset.name), fault)
        return Timing(fault=(str(fault), fault.remedy))
    remembered = watermark.remembered if watermark else None
    if dataset.window is None:
        return Timing(remembered=remembered)
    settings = services.settings
    overlap, open_from = timedelta(minutes=settings.window_overlap_minutes), None
    if fields_of(dataset).ending is not None:
        open_days = timedelta(days=settings.open_days)
        overlap, open_from = max(overlap, min(GRACE_FOR_ENDS, open_days)), services.clock() - open_days
    open_since = watermark.open_since if watermark else None
    is_alone = is_met_by_the_other_kind(dataset, watermark)
    window = next_window(
        services.clock(),
        watermark.to if watermark else None,
        first=timedelta(days=settings.window_days),
        overlap=overlap,
        lag=timedelta(minutes=settings.window_lag_minutes),
        whole_days=dataset.window.format == "date",
        open_since=max(open_since, open_from) if open_since and open_from else None,
    )
    if window is not None and dataset.parent is not None:
        window = window.model_copy(update={"from_": window.to - timedelta(days=settings.window_days)})
    return Timing(window=window, overlap=overlap, remembered=remembered, open_from=open_from, alone=is_alone)


async def _parents(
    services: Services, datasets: Iterable[Dataset]
) -> tuple[dict[str, ParentSnapshot], dict[str, tuple[str, str]]]:
    """Return the newest snapshot of the parents of each child dataset, where there is one, or why it cannot be told."""
    most = services.settings.max_parents
    found: dict[str, ParentSnapshot] = {}
    faults: dict[str, tuple[str, str]] = {}
    for dataset in datasets:
        if dataset.parent is None:
            continue
        try:
            newest = await read_latest(services.storage, dataset.source, dataset.parent.dataset)
        except StoredFault as fault:
            note_unusable(paths.latest(dataset.source, dataset.parent.dataset), fault)
            faults[dataset.name] = str(fault), fault.remedy
            continue
        if newest is not None:
            found[dataset.name] = ParentSnapshot(run_id=newest.run_id, items=newest.items, most=most)
    return found, faults


async def _holder_of_all(
    services: Services, source: Source, datasets: Iterable[Dataset], stretch: Window | None
) -> Run | None:
    """Return the first unfinished run that harvests all of ``datasets``, and the same stretch of time."""
    wanted = {dataset.name for dataset in datasets}
    within = timedelta(hours=services.settings.run_hours) + UNFINISHED_GRACE
    runs = [run async for run in unfinished(services.storage, source, within=within, now=services.clock())]
    for run in sorted(runs, key=lambda run: run.run_id):
        harvested = {dataset.dataset for dataset in run.datasets if dataset.skipped is None}
        if wanted <= harvested and run.stretch == stretch:
            seen = await view(services.storage, run)
            if seen.state == "running":
                return run
    return None


async def _plan(services: Services, dataset: Dataset, planned: PlannedDataset) -> DatasetPlan:
    partitions, parents = len(planned.partitions), None
    if planned.parents is not None:
        parents = len((await select_parents(services.storage, dataset, planned)).parents)
    newest = None
    if planned.skipped is None:
        reading = read_latest(services.storage, dataset.source, dataset.name)
        newest = await unless_unusable(paths.latest(dataset.source, dataset.name), reading)
    least = least_requests(
        dataset,
        items=newest.items if newest else None,
        page_size=services.settings.page_size,
        chains=partitions if parents is None else parents * prod(map(len, dataset.choices.values())),
    )
    return DatasetPlan(
        dataset=dataset.name,
        partitions=partitions,
        parents=parents,
        least_requests=least,
        skipped=planned.skipped,
        remedy=planned.remedy,
    )
