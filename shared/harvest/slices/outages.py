"""What may pass is waited for, with growing pauses, until the run comes to its deadline. Pure."""

from datetime import timedelta

from shared.errors import AppError, Overloaded, Retry, TokenRefused, UnreadableResponse

FIRST_PAUSE = timedelta(seconds=30)
LONGEST_PAUSE = timedelta(minutes=10)


def may_pass(error: AppError) -> bool:
    """Return whether the same request may succeed later, judged by how likely that is and not by who answered."""
    return isinstance(error, Overloaded | Retry | TokenRefused | UnreadableResponse)


def pause_after(outages: int) -> timedelta:
    """Return how long to wait after so many failures in a row: twice as long each time, up to ``LONGEST_PAUSE``."""
    doublings = min(outages - 1, 10)
    return min(FIRST_PAUSE * (1 << doublings), LONGEST_PAUSE)
