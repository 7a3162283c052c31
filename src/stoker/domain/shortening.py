"""Shortens texts that are longer than a limit."""

from __future__ import annotations

_CUT = "…"


def shortened(text: str, most: int) -> str:
    """``text`` in at most ``most`` characters; a longer text loses its middle.

    The beginning of an error says where it happened, and its end why: ``… exit code: 42``.
    """
    if len(text) <= most:
        return text
    kept = max(most - len(_CUT), 0)
    end = kept // 2
    return text[: kept - end] + _CUT + (text[-end:] if end else "")
