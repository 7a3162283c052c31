"""Shorten texts that are longer than what is kept or shown of them."""

from __future__ import annotations

_CUT = "…"


def shortened(text: str, most: int) -> str:
    """``text`` in ``most`` characters: where it is longer, its middle is left out.

    The beginning of an error says where it happened, and its end why: ``… exit code: 42``.
    """
    if len(text) <= most:
        return text
    kept = max(most - len(_CUT), 0)
    end = kept // 2
    return text[: kept - end] + _CUT + (text[-end:] if end else "")
