"""Windows of time: which span a windowed dataset harvests next, in pieces the API allows. Pure."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from pydantic import Field

from shared.document import Document


class Window(Document):
    """A span of time, both ends included."""

    from_: datetime = Field(alias="from")
    to: datetime


def next_window(
    now: datetime,
    watermark: datetime | None,
    *,
    first: timedelta,
    overlap: timedelta,
    lag: timedelta,
    whole_days: bool = False,
    open_since: datetime | None = None,
) -> Window | None:
    """Return what to harvest now, or ``None`` when nothing new can be there yet.

    Args:
        watermark: Until when everything has been harvested; ``None`` before the first harvest.
        first: How far the first window reaches back.
        overlap: How much of the last window is asked for again: zones and late arrivals are not documented.
        lag: How far a window stays behind the present.
        whole_days: The list is bounded by dates. Whether the last one is included is not documented, so a window ends
            at midnight and what comes after it is left to the next one.
        open_since: When the oldest item began that had not ended: the window reaches back to it.
    """
    to = (now - lag).replace(microsecond=0)
    if whole_days:
        to = _midnight(to)
    if watermark is None:
        return Window(from_=_midnight(to - first) if whole_days else to - first, to=to)
    begin = min(watermark, open_since) if open_since else watermark
    return Window(from_=begin - overlap, to=to) if to > watermark else None


def in_whole_days(stretch: Window, *, now: datetime) -> Window:
    """Return the days that hold a past stretch, of a list that is bounded by dates; today is not over yet."""
    begin, end, today = map(_midnight, (stretch.from_, stretch.to, now))
    return Window(from_=begin, to=min(end + timedelta(days=end < stretch.to), today))


def _midnight(instant: datetime) -> datetime:
    return instant.replace(hour=0, minute=0, second=0, microsecond=0)


def spans(window: Window, *, most: timedelta | None) -> list[Window]:
    """``window`` in pieces of at most ``most``, oldest first; each begins where the one before ends."""
    return list(_spans(window, most or window.to - window.from_))


def _spans(window: Window, most: timedelta) -> Iterator[Window]:
    start = window.from_
    while start + most < window.to:
        yield Window(from_=start, to=start + most)
        start += most
    yield Window(from_=start, to=window.to)
