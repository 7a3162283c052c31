"""Lines of logs as HTML: the colours that a program wrote, and nothing else of what it could mean."""

from __future__ import annotations

import re

from markupsafe import Markup, escape

MAX_LINE_LENGTH = 2000
"""Characters of a line that a page shows; all of it is in the download."""

# ECMA-48: CSI and OSC sequences, other escapes, and the controls that a page has no use for.
_SEQUENCE = re.compile(
    r"\x1b\[(?P<codes>[0-9;]*)m|\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b.?"
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)
_COLOURS = frozenset(map(str, (*range(30, 38), *range(90, 98))))


def line_html(text: str) -> Markup:
    """A line of a log, escaped, with a span of the classes ``bold`` and ``ink-31`` and the like where it has colours.

    Of what a progress bar wrote over itself, the last is shown.
    """
    shown = text.rstrip("\r\n").rpartition("\r")[2]
    if len(shown) > MAX_LINE_LENGTH:
        shown = shown[:MAX_LINE_LENGTH] + "…"
    html, at, colour, is_bold = Markup(), 0, "", False
    for found in _SEQUENCE.finditer(shown):
        html += _span(shown[at : found.start()], colour, is_bold=is_bold)
        at = found.end()
        if found["codes"] is not None:
            colour, is_bold = _after(found["codes"], colour, is_bold=is_bold)
    return html + _span(shown[at:], colour, is_bold=is_bold)


def marked_html(text: str, wanted: str) -> Markup:
    """A line of a log without colours, with a mark around each place of what was looked for, cut around the first."""
    shown = text.rstrip("\r\n")
    begin = max(0, shown.find(wanted) - MAX_LINE_LENGTH // 2)
    parts = [_SEQUENCE.sub("", part) for part in shown[begin : begin + MAX_LINE_LENGTH].split(wanted)]
    return (Markup("…") if begin else Markup()) + Markup("<mark>{}</mark>").format(wanted).join(parts)


def _span(text: str, colour: str, *, is_bold: bool) -> Markup:
    classes = " ".join(filter(None, ("bold" if is_bold else "", f"ink-{colour}" if colour else "")))
    return Markup('<span class="{}">{}</span>').format(classes, text) if classes and text else escape(text)


def _after(codes: str, colour: str, *, is_bold: bool) -> tuple[str, bool]:
    """The colour and weight after a sequence of codes (ECMA-48, section 8.3.117)."""
    parts = iter(codes.split(";"))
    for part in parts:
        code = part.lstrip("0")
        if code == "":
            colour, is_bold = "", False
        elif code in _COLOURS:
            colour = code
        elif code in {"1", "22"}:
            is_bold = code == "1"
        elif code in {"38", "48"}:
            # What follows is one of 256 colours, or red, green and blue: no codes of their own.
            for _ in range({"5": 1, "2": 3}.get(next(parts, ""), 0)):
                next(parts, "")
        elif code == "39":
            colour = ""
    return colour, is_bold
