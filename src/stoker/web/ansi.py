"""Lines of logs as HTML, with a terminal's colours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from markupsafe import Markup, escape

from stoker.domain.terminal_text import TerminalLog, shown_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from stoker.domain.terminal_text import Style

MAX_LINE_LENGTH = 2000
"""Characters of a line that a page shows; the download has all of them."""


def log_html() -> Callable[[str], Markup]:
    """Turns the lines of a log into HTML, in order: escaped, in spans of classes like ``bold`` and ``ink-31``."""
    log = TerminalLog()
    return lambda text: _html(log.runs(text))


def line_html(text: str) -> Markup:
    """The HTML of a single line."""
    return log_html()(text)


def marked_html(text: str, wanted: str) -> Markup:
    """A line without colours, with a mark around each match of a search, cut around the first match."""
    whole = shown_text(text)
    begin = max(0, whole.find(wanted) - MAX_LINE_LENGTH // 2)
    parts = whole[begin : begin + MAX_LINE_LENGTH].split(wanted)
    return (Markup("…") if begin else Markup()) + Markup("<mark>{}</mark>").format(wanted).join(parts)


def _html(runs: list[tuple[str, Style]]) -> Markup:
    parts: list[Markup] = []
    room = MAX_LINE_LENGTH
    for text, style in runs:
        parts.append(_span(text[:room], style))
        room -= len(text)
        if room < 0:
            parts.append(Markup("…"))
            break
    return Markup().join(parts)


def _span(text: str, style: Style) -> Markup:
    classes = " ".join(filter(None, ("bold" if style.is_bold else "", f"ink-{style.colour}" if style.colour else "")))
    return Markup('<span class="{}">{}</span>').format(classes, text) if classes and text else escape(text)
