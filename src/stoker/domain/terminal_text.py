"""What a terminal shows of a line of a log: sequences do their work, or nothing, and are never seen themselves.

Sequences are those of ECMA-48 and ISO 2022, with one control character or with ESC, as xterm reads them
(https://invisible-island.net/xterm/ctlseqs/ctlseqs.html). A string without an end, as of DCS, ends with its line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from itertools import groupby

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")
_TOKEN = re.compile(
    r"(?P<text>[^\x00-\x08\x0a-\x1f\x7f-\x9f]+)"
    r"|(?:\x1b\[|\x9b)(?P<parameters>[0-?]*+)[ -/]*+(?P<final>[@-~]?)"
    r"|(?:\x1b\]|\x9d)(?P<command>[^\x07\x1b\x9c]*+)(?:\x07|\x1b\\|\x9c)?"
    r"|(?:\x1b[PX^_]|[\x90\x98\x9e\x9f])[^\x1b\x9c]*+(?:\x1b\\|\x9c)?"
    r"|\x1b[ -/]*+[0-~]?"
    r"|(?P<control>[\x00-\x1f\x7f-\x9f])"
)
# The same in bytes: what a search has to look through. Of controls, those that move stay.
_SEQUENCE_BYTES = re.compile(
    rb"(?:\x1b\[|\xc2\x9b)[0-?]*+[ -/]*+[@-~]?"
    rb"|(?:\x1b\]|\xc2\x9d)(?:[^\x07\x1b\xc2]|\xc2(?!\x9c))*+(?:\x07|\x1b\\|\xc2\x9c)?"
    rb"|(?:\x1b[PX^_]|\xc2[\x90\x98\x9e\x9f])(?:[^\x1b\xc2]|\xc2(?!\x9c))*+(?:\x1b\\|\xc2\x9c)?"
    rb"|\x1b[ -/]*+[0-~]?|\xc2[\x80-\x9f]|[\x00-\x08\x0b-\x1f\x7f]"
)
_SOME_CONTROL = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]")
# Hyperlinks of the web (https://gist.github.com/egmontkob/eb114294efbcd5adb1944c9f3cb5feda). One with a user name
# could look like a link to another host.
_LINK = re.compile(r"8;[^;]*;(?P<url>https?://[!-~]{1,2000})", re.IGNORECASE)
_USER = re.compile(r"https?://[^/?#]*@", re.IGNORECASE)
_COLOURS = frozenset((*range(30, 38), *range(90, 98)))
_PRIVATE = frozenset("<=>?")
_WIDEST = 4000
_LONGEST = 4000
_BOLD, _NOT_BOLD, _DEFAULT_COLOUR = 1, 22, 39
_EXTENDED = frozenset({38, 48, 58})


@dataclass(frozen=True, slots=True)
class Style:
    """How text looks, and where it leads to.

    Attributes:
        colour: one of the 16 by its code (ECMA-48, section 8.3.117); 0 for none.
        link: a URL; empty for none.
    """

    colour: int = 0
    is_bold: bool = False
    link: str = ""


@dataclass(slots=True)
class _Row:
    """The characters of a line with their styles, and where the next one goes. Work beyond its budget isn't done."""

    work: int
    characters: list[str] = field(default_factory=list[str])
    styles: list[Style] = field(default_factory=list[Style])
    at: int = 0

    def write(self, text: str, style: Style) -> None:
        gap = self.at - len(self.characters)
        if gap > 0:
            if self.spend(gap):
                self.characters += " " * gap
                self.styles += [Style()] * gap
            else:
                self.at = len(self.characters)
        end = self.at + len(text)
        self.characters[self.at : end] = text
        self.styles[self.at : end] = [style] * len(text)
        self.at = end

    def erase(self, begin: int, end: int) -> None:
        if self.spend(end - begin):
            self.characters[begin:end] = " " * (end - begin)
            self.styles[begin:end] = [Style()] * (end - begin)

    def cut(self, begin: int) -> None:
        del self.characters[begin:]
        del self.styles[begin:]

    def spend(self, work: int) -> bool:
        self.work -= work
        return self.work >= 0


class TerminalLog:
    """The lines of a log, one after the other: colours go on from line to line."""

    def __init__(self) -> None:
        self._style = Style()

    def runs(self, line: str) -> list[tuple[str, Style]]:
        """What is shown of the next line, of a long one its beginning: texts, each in one style."""
        text = line.rstrip("\r\n")
        if len(text) > _LONGEST and _CONTROL.search(text) is not None:
            # Of a long line, what was written last from its beginning on.
            text = text.rpartition("\r")[2][:_LONGEST]
        if _CONTROL.search(text) is None:
            return [(text, self._style)] if text else []
        row = _Row(work=4 * len(text) + 1000)
        for found in _TOKEN.finditer(text):
            if found["text"] is not None:
                row.write(found["text"], self._style)
            elif found["command"] is not None:
                self._operating_command(found["command"])
            elif found["final"]:
                self._control_sequence(row, found["parameters"], found["final"])
            elif found["control"] == "\r":
                row.at = 0
            elif found["control"] == "\b":
                row.at = max(0, row.at - 1)
        # A link ends with its line, so that one without an end doesn't take the rest of the log.
        if self._style.link:
            self._style = replace(self._style, link="")
        cells = zip(row.characters, row.styles, strict=True)
        return [("".join(one for one, _ in run), style) for style, run in groupby(cells, lambda cell: cell[1])]

    def _operating_command(self, command: str) -> None:
        if not command.startswith("8;"):
            return
        found = _LINK.fullmatch(command)
        url = "" if found is None or _USER.match(found["url"]) else found["url"]
        self._style = replace(self._style, link=url)

    def _control_sequence(self, row: _Row, parameters: str, final: str) -> None:
        if parameters[:1] in _PRIVATE:
            return
        if final == "m":
            self._style = _styled(self._style, parameters)
            return
        number = int(parameters) if parameters.isascii() and parameters.isdigit() and len(parameters) < 6 else None
        match final:
            case "C" if number is not None or not parameters:
                row.at = min(row.at + max(number or 1, 1), _WIDEST)
            case "D" if number is not None or not parameters:
                row.at = max(0, row.at - max(number or 1, 1))
            case "G" if number is not None or not parameters:
                row.at = min(max(number or 1, 1) - 1, _WIDEST)
            case "K" if not number:
                row.cut(row.at)
            case "K" if number == 1:
                row.erase(0, min(row.at + 1, len(row.characters)))
            case "K" if number == 2:
                row.cut(0)
            case "P" if number is not None or not parameters:
                end = row.at + max(number or 1, 1)
                if row.spend(max(0, len(row.characters) - row.at)):
                    del row.characters[row.at : end]
                    del row.styles[row.at : end]
            case _:
                pass


def shown_text(line: str) -> str:
    """What is shown of a line."""
    return "".join(text for text, _ in TerminalLog().runs(line))


def without_sequences(line: bytes) -> bytes:
    """A line without escape sequences and control characters, but for those that move the cursor."""
    return _SEQUENCE_BYTES.sub(b"", line)


def has_controls(line: bytes) -> bool:
    """Whether there is any control character in a line, but for the ends of lines."""
    return _SOME_CONTROL.search(line) is not None


def _styled(style: Style, parameters: str) -> Style:
    """The style after a sequence of codes (ECMA-48, section 8.3.117)."""
    parts = iter(parameters.split(";"))
    for part in parts:
        # Colons are within one code (ITU-T T.416): 38:5:1, 4:3.
        head, *more = part.split(":")
        code = int(head) if head.isascii() and head.isdigit() and len(head) < 6 else 0 if not head else -1
        if code in _EXTENDED:
            kind = more[:1] or [next(parts, "")]
            values = more[1:] or [next(parts, "") for _ in range({"5": 1, "2": 3}.get(kind[0], 0))]
            if code == 38 and kind == ["5"]:
                style = replace(style, colour=_of_palette(values[0] if values else ""))
        elif code == 0:
            style = Style(link=style.link)
        elif code in _COLOURS:
            style = replace(style, colour=code)
        elif code in {_BOLD, _NOT_BOLD}:
            style = replace(style, is_bold=code == _BOLD)
        elif code == _DEFAULT_COLOUR:
            style = replace(style, colour=0)
    return style


def _of_palette(number: str) -> int:
    """The code of one of 256 colours, of which the first 16 have one."""
    value = int(number) if number.isascii() and number.isdigit() and len(number) < 4 else 256
    return 30 + value if value < 8 else 82 + value if value < 16 else 0
