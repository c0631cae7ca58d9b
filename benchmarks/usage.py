"""What a process has used so far, and what was taken from its machine."""

import re
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True, slots=True)
class Usage:
    """Seconds of CPU (user and system), and the peak of the resident memory."""

    cpu: float
    peak_bytes: int


def used_by(pid: int) -> Usage:
    """Return what the process has used so far, without its children."""
    process = psutil.Process(pid)
    times = process.cpu_times()
    return Usage(times.user + times.system, _peak(pid) or process.memory_info().rss)


def stolen_seconds() -> float:
    """Return the seconds of CPU that the hypervisor has given to others so far, where the system counts them."""
    stolen: float = getattr(psutil.cpu_times(), "steal", 0.0)
    return stolen


def _peak(pid: int) -> int | None:
    """Return the peak, where the system keeps it; elsewhere what is resident now has to do."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    found = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    return int(found[1]) * 1024 if found else None
