"""Split texts into words as a POSIX shell does, and know where each of their characters came from.

What is split need not be a script: errors and names hold scripts, cut ones too. So nothing is an error here: a quote
that is never closed is a character like others. The time is linear in the text's length.
"""

from __future__ import annotations

import re
from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_BLANK = re.compile(r"(?:[ \t]|\\\n)+")
_PLAIN = re.compile(r"""(?:[^ \t\n'"\\$`;&|<>()]|\$(?!['"(]))+""")
_PLAIN_ARGUMENT = re.compile(r"""(?:[^ \t\n'"\\$`]|\$(?!['"(]))+""")
_OPERATORS = frozenset(";&|<>()\n")
_ENDS = frozenset(" \t\n;&|<>()")
_ARGUMENT_ENDS = frozenset(" \t\n")
_SIMPLE_DOUBLE = re.compile(r'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_ANSI_C = re.compile(r"\$'(?:[^'\\]|\\.)*+'", re.DOTALL)
_BACKQUOTED = re.compile(r"`(?:[^`\\]|\\.)*+`", re.DOTALL)
_APOSTROPHE = re.compile(r"'(?:[tsdm]|re|ve|ll)(?![A-Za-z'])")
# What ends, or begins something, inside double quotes and inside $( ).
_IN_DOUBLE = re.compile(r'"|\\.|\$\(|`(?:[^`\\]|\\.)*+`', re.DOTALL)
_IN_SUBSTITUTION = re.compile(r"""'[^']*+'|"|\\.|[()]|`(?:[^`\\]|\\.)*+`""", re.DOTALL)
_ESCAPES = {
    # The shell's in double quotes (POSIX.1-2017, Shell Command Language, 2.2.3).
    "double": re.compile(r'\\([$`"\\\n])'),
    # Go's (strconv.Quote), JSON's, and those of $'...', which are nearly the same.
    "program": re.compile(r"\\(x[0-9A-Fa-f]{1,2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|[0-7]{1,3}|.)", re.DOTALL),
}
_CONTROLS = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v", "e": "\x1b", "E": "\x1b"}


@dataclass(frozen=True, slots=True)
class Passage:
    """A text that was taken out of a whole one, perhaps without its quotes.

    Attributes:
        text: what it says.
        begins: where in the whole text what each character was made of begins.
        ends: where that ends.
    """

    text: str
    begins: array[int]
    ends: array[int]

    @classmethod
    def whole(cls, text: str) -> Passage:
        """The whole text."""
        return cls(text, array("I", range(len(text))), array("I", range(1, len(text) + 1)))

    def part(self, begin: int, end: int) -> Passage:
        """Some of its characters."""
        return Passage(self.text[begin:end], self.begins[begin:end], self.ends[begin:end])

    def range_of(self, begin: int, end: int) -> tuple[int, int]:
        """Where in the whole text these characters, one at least, are."""
        return self.begins[begin], self.ends[end - 1]


@dataclass(slots=True)
class Word:
    """A word, or an operator such as ``;``.

    Attributes:
        text: what the shell makes of it, without quotes and backslashes.
        source: the passage that was split.
        begin: where it begins there.
        end: where it ends there.
        is_operator: whether it is one of ``; & | < > ( )``, or the end of a line.
        is_quoted: whether any of it was quoted.
        is_literal: whether there is a part of it in which ``$`` means nothing.
        is_open: whether a quote in it is never closed.
        substitutions: where in the source the scripts of its ``$( )`` are.
        pieced: the same as its text, where that was put together.
    """

    text: str
    source: Passage
    begin: int
    end: int
    is_operator: bool = False
    is_quoted: bool = False
    is_literal: bool = False
    is_open: bool = False
    substitutions: list[tuple[int, int]] = field(default_factory=list["tuple[int, int]"])
    pieced: Passage | None = None

    @property
    def passage(self) -> Passage:
        """What the shell makes of it, with where that is."""
        return self.source.part(self.begin, self.end) if self.pieced is None else self.pieced

    @property
    def is_whole_quote(self) -> bool:
        """Whether it is an argument by itself, or begins with a quote."""
        return self.is_quoted and (self.pieced is None or self.source.text[self.begin] in "\"'$\\")

    @classmethod
    def of_argument(cls, argument: Passage) -> Word:
        """An argument that is given as it is."""
        return cls(argument.text, argument, 0, len(argument.text), is_quoted=True)


def unquoted(passage: Passage, begin: int, end: int, escapes: str) -> Passage:
    """The characters from ``begin`` to ``end`` without their backslashes.

    Args:
        passage: what they are in.
        begin: after the opening quote.
        end: at the closing quote.
        escapes: "double" for what is in a shell's double quotes, "program" for strings of Go and JSON, and ``$'...'``.
    """
    builder = _Builder(passage)
    builder.add_escaped(begin, end, escapes)
    return builder.passage()


def split_words(passage: Passage, *, is_script: bool = True) -> Iterator[Word]:
    """The words of a passage; with operators if it is a script, and not arguments that were joined by spaces."""
    return _Splitter(passage, is_script=is_script).words()


class _Builder:
    """Puts a passage together from parts of another."""

    def __init__(self, source: Passage) -> None:
        self._source = source
        self._texts: list[str] = []
        self._begins = array("I")
        self._ends = array("I")

    def add(self, begin: int, end: int) -> None:
        """Add characters as they are."""
        self._texts.append(self._source.text[begin:end])
        self._begins += self._source.begins[begin:end]
        self._ends += self._source.ends[begin:end]

    def add_made(self, text: str, begin: int, end: int) -> None:
        """Add a character that others stand for; none for those that vanish."""
        if text:
            self._texts.append(text)
            self._begins.append(self._source.begins[begin])
            self._ends.append(self._source.ends[end - 1])

    def add_escaped(self, begin: int, end: int, escapes: str) -> None:
        """Add characters without their backslashes."""
        at = begin
        for found in _ESCAPES[escapes].finditer(self._source.text, begin, end):
            self.add(at, found.start())
            made = _character(found[1]) if escapes == "program" else found[1].replace("\n", "")
            self.add_made(made, found.start(), found.end())
            at = found.end()
        self.add(at, end)

    def passage(self) -> Passage:
        return Passage("".join(self._texts), self._begins, self._ends)


def _character(escape: str) -> str:
    """The character of a backslash's rest."""
    if escape[0] in "xuU" and len(escape) > 1:
        code = int(escape[1:], 16)
        return chr(code) if code <= 0x10FFFF else "\ufffd"
    if escape[0] in "01234567":
        return chr(int(escape, 8))
    return _CONTROLS.get(escape, escape)


class _Splitter:
    def __init__(self, passage: Passage, *, is_script: bool) -> None:
        self._passage = passage
        self._text = passage.text
        self._is_script = is_script
        self._plain = _PLAIN if is_script else _PLAIN_ARGUMENT
        # What was not found once isn't searched for again, so that the time stays linear.
        self._missing: set[str] = set()

    def words(self) -> Iterator[Word]:
        text, source, at, length = self._text, self._passage, 0, len(self._text)
        operators, ends = (_OPERATORS, _ENDS) if self._is_script else (_ARGUMENT_ENDS, _ARGUMENT_ENDS)
        while at < length:
            if (plain := self._plain.match(text, at)) is not None:
                end = plain.end()
                if end == length or text[end] in ends:
                    yield Word(plain[0], source, at, end)
                    at = end
                    continue
            elif (blank := _BLANK.match(text, at)) is not None:
                at = blank.end()
                continue
            elif text[at] in operators:
                yield Word(text[at], source, at, at + 1, is_operator=True)
                at += 1
                continue
            word = self._word(at)
            at = word.end
            yield word

    def _word(self, begin: int) -> Word:
        word, builder = Word("", self._passage, begin, begin), _Builder(self._passage)
        end = begin
        while not self._ends_word(end):
            end = self._piece(word, builder, end)
        word.pieced, word.end = builder.passage(), end
        word.text = word.pieced.text
        return word

    def _ends_word(self, at: int) -> bool:
        if at >= len(self._text):
            return True
        return self._text[at] in (_ENDS if self._is_script else _ARGUMENT_ENDS)

    def _piece(self, word: Word, builder: _Builder, at: int) -> int:
        """Add the next piece of a word; where it ends."""
        plain = self._plain.match(self._text, at)
        if plain is not None:
            builder.add(at, plain.end())
            return plain.end()
        end = self._quoted(word, builder, at)
        if end < 0:
            # What is never closed stands for itself.
            word.is_open = word.is_open or self._text[at] == '"' or (self._text[at] == "'" and not self._is_said(at))
            end = at + 1
            builder.add(at, end)
        return end

    def _quoted(self, word: Word, builder: _Builder, at: int) -> int:
        """Add what is quoted at a place; where that ends, or -1."""
        text, end = self._text, -1
        match text[at]:
            case "'" if (end := self._end_of_single(at)) > 0:
                word.is_quoted = word.is_literal = True
                builder.add(at + 1, end - 1)
            case '"' if (end := self._end_of_double(at)) > 0:
                self._add_double(word, builder, at + 1, end)
            case "\\" if at + 1 < len(text):
                end = at + 2
                word.is_quoted = word.is_literal = True
                builder.add_made(text[at + 1].replace("\n", ""), at, end)
            case "$":
                end = self._end_of_dollar(word, builder, at)
            case "`" if (end := self._end_of(_BACKQUOTED, at)) > 0:
                word.substitutions.append((at + 1, end - 1))
                builder.add(at, end)
            case _:
                pass
        return end

    def _add_double(self, word: Word, builder: _Builder, begin: int, end: int) -> None:
        word.is_quoted = True
        word.is_literal = word.is_literal or self._text.find("\\$", begin, end) >= 0
        builder.add_escaped(begin, end - 1, "double")

    def _end_of_dollar(self, word: Word, builder: _Builder, at: int) -> int:
        text = self._text
        if text.startswith("$'", at):
            end = self._end_of(_ANSI_C, at)
            if end > 0:
                word.is_quoted = word.is_literal = True
                builder.add_escaped(at + 2, end - 1, "program")
            return end
        if text.startswith('$"', at):
            end = self._end_of_double(at + 1)
            if end > 0:
                self._add_double(word, builder, at + 2, end)
            return end
        if text.startswith("$(", at):
            end = self._end_of_nested(at + 2, ")")
            if end > 0:
                word.substitutions.append((at + 2, end - 1))
                builder.add(at, end)
            return end
        return -1

    def _is_said(self, at: int) -> bool:
        """Whether a quote is the apostrophe of "can't" or "client's", and none of a value."""
        if at == 0 or not self._text[at - 1].isalpha() or _APOSTROPHE.match(self._text, at) is None:
            return False
        return "=" not in self._text[max(0, at - 64) : at].rpartition(" ")[2]

    def _end_of_single(self, at: int) -> int:
        if self._is_said(at):
            return -1
        if "'" in self._missing:
            return -1
        end = self._text.find("'", at + 1)
        if end < 0:
            self._missing.add("'")
        return end + 1 if end >= 0 else -1

    def _end_of_double(self, at: int) -> int:
        end = self._end_of_nested(at + 1, '"')
        return end if end > 0 else self._end_of(_SIMPLE_DOUBLE, at)

    def _end_of(self, pattern: re.Pattern[str], at: int) -> int:
        if pattern.pattern in self._missing:
            return -1
        found = pattern.match(self._text, at)
        if found is None:
            self._missing.add(pattern.pattern)
            return -1
        return found.end()

    def _end_of_nested(self, at: int, closing: str) -> int:
        """The end of what is in double quotes or in ``$( )``, each of which can hold the other."""
        if "nested" in self._missing:
            return -1
        awaited = [closing]
        while awaited:
            found = (_IN_DOUBLE if awaited[-1] == '"' else _IN_SUBSTITUTION).search(self._text, at)
            if found is None:
                self._missing.add("nested")
                return -1
            at = found.end()
            match found[0]:
                case '"' | ")" as mark if mark == awaited[-1]:
                    awaited.pop()
                case '"':
                    awaited.append('"')
                case "(" | "$(":
                    awaited.append(")")
                case _:
                    pass
        return at
