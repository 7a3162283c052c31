"""Lines of logs as HTML, with a terminal's colours, and marks around what a search found."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

from stoker.domain.terminal_text import Style, TerminalLog, shown_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from stoker.domain.text_search import TextSearch

MAX_LINE_LENGTH = 2000
"""Characters of a line that a page shows; the download has all of them."""

_NOWHERE = 2**62


def log_html(search: TextSearch | None = None) -> Callable[[str], Markup]:
    """Turns the lines of a log into HTML, in order: escaped, in spans of classes like ``bold`` and ``ink-31``.

    Args:
        search: what is marked in them, if anything.
    """
    log = TerminalLog()
    if search is None:
        return lambda text: _html(log.runs(text))
    return lambda text: _marked(log.runs(text), search)


def line_html(text: str) -> Markup:
    """The HTML of a single line."""
    return log_html()(text)


def marked_html(text: str, search: TextSearch) -> Markup:
    """A line without colours, with a mark around each match of a search."""
    return _marked([(shown_text(text), Style())], search)


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


def _marked(runs: list[tuple[str, Style]], search: TextSearch) -> Markup:
    """Runs with marks around matches. A long line is cut around the first one."""
    places = search.places_in("".join(text for text, _ in runs))
    if not places:
        return _html(runs)
    begin = max(0, places[0][0] - MAX_LINE_LENGTH // 2) if places[0][1] > MAX_LINE_LENGTH else 0
    end, at = begin + MAX_LINE_LENGTH, 0
    parts = [Markup("…")] if begin else []
    for text, style, is_match in _cut(runs, places):
        shown = text[max(begin - at, 0) : max(end - at, 0)]
        at += len(text)
        if shown:
            parts.append(_span(Markup("<mark>{}</mark>").format(shown) if is_match else shown, style))
        if at > end:
            parts.append(Markup("…"))
            break
    return Markup().join(parts)


def _cut(runs: list[tuple[str, Style]], places: Sequence[tuple[int, int]]) -> Iterator[tuple[str, Style, bool]]:
    """Runs, cut where matches begin and end; each part with whether it is in a match."""
    edges = chain(chain.from_iterable(places), [_NOWHERE])
    edge, is_match, position = next(edges), False, 0
    for text, style in runs:
        begin = 0
        while edge < position + len(text):
            cut = edge - position
            if cut > begin:
                yield text[begin:cut], style, is_match
            begin, is_match, edge = cut, not is_match, next(edges)
        if begin < len(text):
            yield text[begin:], style, is_match
        position += len(text)


def _span(text: str, style: Style) -> Markup:
    classes = " ".join(filter(None, ("bold" if style.is_bold else "", f"ink-{style.colour}" if style.colour else "")))
    html = Markup('<span class="{}">{}</span>').format(classes, text) if classes and text else escape(text)
    if not style.link:
        return html
    return Markup('<a href="{}" rel="noreferrer" title="{}">{}</a>').format(style.link, style.link, html)
