"""Checks everything the app depends on, and says what to do about what is wrong."""

from shared.doctor.check import Check, CheckStatus, Report
from shared.doctor.examination import RECHECKED_AFTER, examine

__all__ = ["RECHECKED_AFTER", "Check", "CheckStatus", "Report", "examine"]
