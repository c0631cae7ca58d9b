"""A report of the doctor for people. Pure."""

from collections.abc import Iterator
from textwrap import indent

from shared.doctor.check import Report


def report_lines(report: Report) -> Iterator[str]:
    """Yield a line for each check, each remedy once, and a line for all of them."""
    width = max(len(check.name) for check in report.checks)
    named: dict[str, str] = {}
    for check in report.checks:
        yield f"{check.status:<7}  {check.name:<{width}}  {check.message}"
        if check.remedy in named:
            yield f"         -> as for {named[check.remedy]}"
        elif check.remedy:
            named[check.remedy] = check.name
            yield indent(check.remedy, " " * 9 + "-> ")
    yield f"{report.status}: avepoint-functions {report.version}"
