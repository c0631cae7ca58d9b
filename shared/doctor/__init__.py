"""Checks everything the app depends on, and says what to do about what is wrong."""

from shared.doctor.check import Check, Report, Status
from shared.doctor.examination import RECHECKED_AFTER, examine

__all__ = ["RECHECKED_AFTER", "Check", "Report", "Status", "examine"]
