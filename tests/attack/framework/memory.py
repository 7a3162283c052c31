"""How much memory a process takes."""

from __future__ import annotations

import re
from pathlib import Path


def resident_bytes(process_id: int) -> int:
    """What it takes now."""
    return _field(process_id, "VmRSS")


def forget_peak(process_id: int) -> None:
    """Have the kernel measure the peak anew (proc_pid_clear_refs(5))."""
    Path(f"/proc/{process_id}/clear_refs").write_text("5")


def peak_bytes(process_id: int) -> int:
    """The most that it took since the peak was forgotten."""
    return _field(process_id, "VmHWM")


def _field(process_id: int, name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB$", Path(f"/proc/{process_id}/status").read_text(), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0
