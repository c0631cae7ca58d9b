"""Starting a run: from a tick of a timer, or because somebody asks for it."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial
from math import ceil, prod
from typing import Literal

from shared.avepoint.catalog import Dataset, catalog
from shared.avepoint.platform import Source
from shared.document import Document
from shared.errors import InvalidInput, Misconfigured, Problem
from shared.harvest import paths
from shared.harvest.announcing import announce, begin_announced
from shared.harvest.capacity import Pace, estimate
from shared.harvest.choosing import choose_parents
from shared.harvest.plan import ParentSnapshot, PlannedDataset, Timing, UnknownDatasets, choose, least_requests
from shared.harvest.runs import Run, Trigger, begin, new_run, random_suffix, read_run, unfinished
from shared.harvest.snapshot import read_latest
from shared.harvest.state import held, view
from shared.harvest.watermark import read_watermark
from shared.harvest.windows import next_window
from shared.services import Services, limits_of
from shared.settings import Settings

TICK_TOLERANCE = timedelta(seconds=60)
GRACE = timedelta(hours=1)
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


def tick_of(due: datetime | None, now: datetime) -> datetime | None:
    """The scheduled instant a timer fired for, or ``None`` when it was fired by hand.

    Args:
        due: ``ScheduleStatus.Next`` as the host passes it: the instant that is due now, unless it lies ahead.
    """
    return due if due is not None and due <= now + TICK_TOLERANCE else None


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
    tick = tick_of(due, now)
    run_id = paths.run_id(source, tick) if tick else paths.run_id(source, now, suffix=random_suffix())
    trigger: Trigger = "timer" if tick else "admin"
    standing = partial(read_run, services.storage, run_id)
    return await _start(services, run_id, source, trigger, datasets, standing=standing)


async def start_requested(services: Services, source: Source, names: Sequence[str] | None) -> Run:
    """Start the datasets somebody asks for; while a run that holds all of them is unfinished, it is that run.

    Args:
        names: Names or globs; ``None`` for the configured ones.

    Raises:
        InvalidInput: A name or glob matches nothing, or there is nothing to do.
        Misconfigured: A configured name matches no dataset, or the source has no base URL.
    """
    datasets = requested(services.settings, source, names)
    services.settings.base_url(source)
    run_id = paths.run_id(source, services.clock(), suffix=random_suffix())
    standing = partial(_holder_of_all, services, source, datasets)
    return await _start(services, run_id, source, "http", datasets, standing=standing)


async def _start(
    services: Services,
    run_id: str,
    source: Source,
    trigger: Trigger,
    datasets: Sequence[Dataset],
    *,
    standing: Callable[[], Awaitable[Run | None]],
) -> Run:
    """Begin a new run unless there is one ``standing``, whoever else starts one at the same time."""
    while True:
        last = await begin_announced(services.storage, source, now=services.clock())
        run = await standing()
        if run is not None:
            return run
        run = await _new_run(services, run_id, source, trigger, datasets)
        if await announce(services.storage, run, after=last):
            return await begin(services.storage, run)


async def plan_requested(services: Services, source: Source, names: Sequence[str] | None) -> RunPlan:
    """What ``start_requested`` would do; raises what it would raise."""
    datasets = requested(services.settings, source, names)
    services.settings.base_url(source)
    run = await _new_run(services, paths.run_id(source, services.clock()), source, "http", datasets)
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


def configured(settings: Settings, source: Source) -> list[Dataset]:
    """The datasets the settings choose.

    Raises:
        Misconfigured: A name or glob matches nothing.
    """
    try:
        return choose(catalog(), source, settings.datasets(source))
    except UnknownDatasets as error:
        name = f"HARVEST_{source.upper()}_DATASETS"
        raise Misconfigured([Problem(name, str(error), "See docs/datasets.md for the names.")]) from error


def requested(settings: Settings, source: Source, names: Sequence[str] | None) -> list[Dataset]:
    """The datasets somebody asks for.

    Raises:
        InvalidInput: A name or glob matches nothing, or there is nothing to do.
    """
    if names is None:
        datasets = configured(settings, source)
        remedy = f"Name some in 'datasets', or set HARVEST_{source.upper()}_DATASETS."
    else:
        try:
            datasets = choose(catalog(), source, names)
        except UnknownDatasets as error:
            raise InvalidInput(str(error), target="datasets") from error
        remedy = "Name at least one."
    if not datasets:
        raise InvalidInput(f"no dataset of {source} is chosen", target="datasets", remedy=remedy)
    return datasets


async def _new_run(
    services: Services, run_id: str, source: Source, trigger: Trigger, datasets: Sequence[Dataset]
) -> Run:
    settings, now = services.settings, services.clock()
    lasts = timedelta(hours=settings.run_hours)
    holders = await held(services.storage, source, since=now - lasts - GRACE)
    return new_run(
        run_id,
        source,
        trigger,
        datasets,
        tenants=settings.tenants,
        held=holders,
        timings={one.name: await _timing(services, one) for one in datasets if one.window or one.parent},
        parents=await _parents(services, datasets),
        now=now,
        lasts=lasts,
    )


async def _timing(services: Services, dataset: Dataset) -> Timing:
    """The next window of a dataset, if there is one, and where what is remembered of the last harvest is."""
    watermark = await read_watermark(services.storage, dataset.source, dataset.name)
    remembered = watermark.remembered if watermark else None
    if dataset.window is None:
        return Timing(remembered=remembered)
    settings = services.settings
    overlap = timedelta(minutes=settings.window_overlap_minutes)
    window = next_window(
        services.clock(),
        watermark.to if watermark else None,
        first=timedelta(days=settings.window_days),
        overlap=overlap,
        lag=timedelta(minutes=settings.window_lag_minutes),
        whole_days=dataset.window.format == "date",
    )
    if window is not None and dataset.parent is not None:
        window = window.model_copy(update={"from_": window.to - timedelta(days=settings.window_days)})
    return Timing(window=window, overlap=overlap, remembered=remembered)


async def _parents(services: Services, datasets: Iterable[Dataset]) -> dict[str, ParentSnapshot]:
    """The newest snapshot of the parents of each child dataset, where there is one."""
    most, found = services.settings.max_parents, {}
    for dataset in datasets:
        if dataset.parent is None:
            continue
        newest = await read_latest(services.storage, dataset.source, dataset.parent.dataset)
        if newest is not None:
            found[dataset.name] = ParentSnapshot(run_id=newest.run_id, items=newest.items, most=most)
    return found


async def _holder_of_all(services: Services, source: Source, datasets: Iterable[Dataset]) -> Run | None:
    """The first unfinished run that harvests all of ``datasets``."""
    wanted = {dataset.name for dataset in datasets}
    since = services.clock() - timedelta(hours=services.settings.run_hours) - GRACE
    runs = [run async for run in unfinished(services.storage, since=since, source=source)]
    for run in sorted(runs, key=lambda run: run.run_id):
        harvested = {dataset.dataset for dataset in run.datasets if dataset.skipped is None}
        if wanted <= harvested:
            seen = await view(services.storage, run)
            if seen.state == "running":
                return run
    return None


async def _plan(services: Services, dataset: Dataset, planned: PlannedDataset) -> DatasetPlan:
    partitions, parents = len(planned.partitions), None
    if planned.parents is not None:
        parents = len((await choose_parents(services.storage, dataset, planned)).parents)
    newest = await read_latest(services.storage, dataset.source, dataset.name) if planned.skipped is None else None
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
