"""Formats of times, durations, sizes and shares, the same on all pages."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from markupsafe import Markup

from stoker.domain.shortening import shortened

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_LONG_AGO = 7 * _DAY
_STEP = 1024  # as the depot CLI counts a GB


def duration(value: float | timedelta) -> str:
    """A duration (seconds if it is a number): ``0.4 s``, ``42 s``, ``3 min 20 s``, ``2 h 5 min``."""
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if round(seconds, 1) < 10:
        return f"{max(seconds, 0):.1f} s"
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return _two(whole, _MINUTE, "min", 1, "s")
    if whole < _DAY:
        return _two(whole, _HOUR, "h", _MINUTE, "min")
    return _two(whole, _DAY, "d", _HOUR, "h")


def size(value: int) -> str:
    """A number of bytes: ``812 B``, ``3.4 MB``, ``50 GB``. As in the depot CLI, a GB is 1024 MB."""
    if value < _STEP:
        return f"{value} B"
    amount, unit = value / _STEP, "KB"
    for larger in ("MB", "GB", "TB"):
        if round(amount, 1) < _STEP:
            break
        amount, unit = amount / _STEP, larger
    return f"{amount:.1f}".removesuffix(".0") + f" {unit}"


def number(value: int) -> str:
    """A count: ``1,234``."""
    return f"{value:,}"


def ordinal(value: int) -> str:
    """A position: ``1st``, ``2nd``, ``13th``."""
    suffix = "th" if value % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(value % 10, "th")
    return f"{value:,}{suffix}"


def share(part: int, whole: int) -> str:
    """A part of a whole: ``93 %``. 100 % and 0 % are exact; a share of nothing is empty."""
    if not whole:
        return ""
    percent = round(100 * part / whole)
    if part:
        percent = max(percent, 1)
    if part < whole:
        percent = min(percent, 99)
    return f"{percent} %"


def moment(value: datetime) -> Markup:
    """A point in time, to the second."""
    return Markup('<time datetime="{}">{} UTC</time>').format(value.isoformat(), f"{value:%Y-%m-%d %H:%M:%S}")


def clock(value: datetime) -> Markup:
    """The time of day of a line of a log, to the millisecond."""
    text = value.isoformat(timespec="milliseconds")
    return Markup('<time datetime="{}">{}</time>').format(text, text[11:23])


def day(value: datetime) -> Markup:
    """The day of a point in time."""
    return Markup('<time datetime="{}">{}</time>').format(value.isoformat(), f"{value:%Y-%m-%d}")


def ago(value: datetime, now: datetime) -> Markup:
    """How long ago a point in time was, or its day if that was long ago."""
    return Markup('<time datetime="{}" title="{} UTC">{}</time>').format(
        value.isoformat(), f"{value:%Y-%m-%d %H:%M:%S}", _ago(value, now)
    )


def _ago(value: datetime, now: datetime) -> str:
    seconds = (now - value).total_seconds()
    if seconds >= _LONG_AGO or seconds < -_MINUTE:
        return f"{value:%Y-%m-%d}"
    for length, name in ((_DAY, "day"), (_HOUR, "hour"), (_MINUTE, "minute")):
        if many := int(seconds // length):
            return f"{many} {name}{'' if many == 1 else 's'} ago"
    return "just now"


def _two(whole: int, large: int, large_name: str, small: int, small_name: str) -> str:
    first, rest = divmod(whole, large)
    second = rest // small
    return f"{first} {large_name} {second} {small_name}" if second else f"{first} {large_name}"


def running(value: float | timedelta) -> Markup:
    """How long something has been running. Pages keep counting (static/running.js)."""
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    return Markup('<span data-running="{seconds:.1f}">{words}</span>').format(seconds=seconds, words=duration(seconds))


FILTERS: dict[str, Callable[..., object]] = {
    "duration": duration,
    "running": running,
    "size": size,
    "number": number,
    "ordinal": ordinal,
    "share": share,
    "moment": moment,
    "clock": clock,
    "day": day,
    "ago": ago,
    "shortened": shortened,
}
"""What templates call them."""
