"""Harvesting a past stretch of windowed datasets, whose watermarks stay where they are."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from shared.avepoint.catalog import Dataset
from shared.avepoint.fields import fields_of
from shared.avepoint.platform import Source
from shared.azure.damage import note_unusable
from shared.errors import InvalidInput, StoredFault
from shared.harvest.plan import paths
from shared.harvest.plan.plan import Timing
from shared.harvest.plan.windows import Window, in_whole_days
from shared.harvest.snapshots.watermark import Watermark, read_watermark
from shared.services import Services


def check_stretch(stretch: Window, now: datetime) -> None:
    """See that a stretch of time lies in the past.

    Raises:
        InvalidInput: It does not.
    """
    if stretch.from_ >= stretch.to:
        raise InvalidInput("window.from is not before window.to", target="window", remedy="Give an earlier from.")
    if stretch.to > now:
        raise InvalidInput("window.to is in the future", target="window", remedy="Give a time that has passed.")


def windowed(source: Source, datasets: Sequence[Dataset], names: Sequence[str] | None) -> list[Dataset]:
    """Return those datasets that are harvested in windows of time.

    Raises:
        InvalidInput: One is named that is not, or there is none.
    """
    others = [one.name for one in datasets if one.window is None and one.name in (names or ())]
    if others:
        raise InvalidInput(
            f"{', '.join(others)} cannot be harvested for a window: each harvest holds the complete list",
            target="datasets",
            remedy="Leave out the window, or name windowed datasets only.",
        )
    found = [one for one in datasets if one.window is not None]
    if not found:
        raise InvalidInput(
            f"no windowed dataset of {source} is chosen", target="datasets", remedy="Name one in 'datasets'."
        )
    return found


async def backfill_timing(services: Services, dataset: Dataset, stretch: Window) -> Timing:
    """Return which part of a stretch is to be harvested: that before the windows that are still to come.

    What lies behind it is, or will be, in the snapshots of every night. Before the first of them it is all harvested.
    A list that is bounded by dates is asked for whole days: it cannot tell the hours of a day apart.
    """
    try:
        watermark = await read_watermark(services.storage, dataset.source, dataset.name, now=services.clock())
    except StoredFault as fault:
        note_unusable(paths.watermark(dataset.source, dataset.name), fault)
        return Timing(fault=(str(fault), fault.remedy), backfill=True)
    window, alone = stretch, is_met_by_the_other_kind(dataset, watermark)
    if watermark is not None:
        ends = watermark.to - timedelta(minutes=services.settings.window_overlap_minutes)
        window = stretch.model_copy(update={"to": min(stretch.to, ends)})
    if dataset.window is not None and dataset.window.format == "date" and window.from_ < window.to:
        window = in_whole_days(window, now=services.clock())
    return Timing(window=window if window.from_ < window.to else None, backfill=True, alone=alone)


def is_met_by_the_other_kind(dataset: Dataset, watermark: Watermark | None) -> bool:
    """Whether windows of nights may meet past stretches: before the first, of parents, and of what has not ended."""
    return watermark is None or dataset.parent is not None or fields_of(dataset).ending is not None
