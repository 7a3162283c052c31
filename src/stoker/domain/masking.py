"""Take the values of secrets out of what a build says: names of steps, errors, warnings.

BuildKit never says the values of secrets that are mounted. But steps' names are their instructions, and errors quote
them, with all that was written there: ``RUN NPM_TOKEN=…``, ``mysql --password …``, ``curl -u user:…``. So texts are
read as a shell reads them, and what is quoted in them is read again, as it may be a script itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from stoker.domain.command_secrets import Command
from stoker.domain.secret_names import looks_secret
from stoker.domain.shell_words import Passage, Word, split_words, unquoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

MASK = "***"
MOST_MASKED = 64 * 1024
"""The longest text that is masked as a whole."""
# What anything that is masked has. To look for it is cheap, and most texts have none of it.
_HINT = re.compile(
    r"token|secret|passw|pass|cred|private|key|auth|jwt|pwd|_pat\b|pat=|bearer|://[^\s/]*@"
    r"|mysql|mariadb|login|redis-cli|zip|7z|curl",
    re.IGNORECASE,
)
_REMEMBERED_LENGTH = 4096
_LONGEST_END = 1024
_DEEPEST = 12
_READ_AGAIN = 16
# How errors of BuildKit quote a step's command: its arguments, joined by spaces, as Go's %q.
_PROCESS = re.compile(r'\bprocess "((?:[^"\\]|\\.)*+)(?:" did not complete|\Z)', re.DOTALL)
# The shell before a script in it, which may be run by an emulator (https://docs.docker.com/reference/dockerfile/#shell).
_SHELL = re.compile(
    r"(?:\S+ )?\S*(?:sh|cmd|powershell|pwsh)(?:\.exe)?(?: [-/]?\w+){0,6}? (?:-[A-Za-z]*c|-Command|/[Cc]) ",
    re.IGNORECASE,
)
_NO_SCRIPT = re.compile(r"(?:\[[^\]]*\] )?(?:ENV|ARG|LABEL) ", re.IGNORECASE)
_ARRAY_BEGIN = re.compile(r'(?:(?<=\s)|\A)\[\s*(?=")')
_ARRAY_ITEM = re.compile(r'\s*+"((?:[^"\\]|\\.)*+)"\s*+([,\]])', re.DOTALL)

_ASSIGNED = re.compile(r"(?<![\w.$-])([\w.-]*+)[+:?]?=", re.ASCII)
_PINNED_VERSION = re.compile(r"=[0-9][\w.*+!-]*$", re.ASCII)
_REFERENCE = re.compile(r"\$\w+|\$\{\w+\}|\$\((?:cat |< ?)[\w/.~-]+\)", re.ASCII)
_BLANK = re.compile(r"\s")
_INNER = re.compile(r"\s|`|\$\(")
_DEEPER_QUOTE = re.compile(r"""=(\\["'])""")
_QUERY_END = re.compile(r"[&#]")
_PAIR = re.compile(
    r"""(["'])(?P<name>[\w.-]{1,100})\1\s*+:\s*+(?:"(?P<double>(?:[^"\\]|\\.)*+)(?:"|\Z)|'(?P<single>[^']*+)(?:'|\Z))""",
    re.DOTALL,
)
_LINE_PAIR = re.compile(r"\n[ \t]*+(?:- )?(?P<name>[\w.-]{1,100}):[ \t]++(?P<value>[^\s#|>][^\n]*)")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*+://([^\s/:@]*+)(:?)([^\s/]*)@", re.ASCII)
_ORDINARY_USER = re.compile(r"(?:git|hg|svn|user|username|anonymous)?", re.IGNORECASE)


def mask_secrets(text: str) -> str:
    """``text`` with a mask in place of each value that looks like a secret's. It takes time linear in its length.

    Of texts longer than what is kept of any, what can't be read in time is left out of the middle.
    """
    if _HINT.search(text) is None:
        return text
    # BuildKit says the same of a step several times.
    return _masked_before(text) if len(text) <= _REMEMBERED_LENGTH else _masked(_readable(text))


def mask_arguments(arguments: Sequence[str]) -> list[str]:
    """The arguments of a command, each with masks in place of secrets' values; some are those of the one before."""
    masked = list(map(mask_secrets, arguments))
    if _HINT.search("\n".join(arguments)) is None:
        return masked
    command = Command()
    for place, argument in enumerate(arguments):
        if len(argument) > _REMEMBERED_LENGTH:
            continue
        begin = command.next(Word.of_argument(Passage.whole(argument)))
        if begin is not None:
            masked[place] = argument[:begin] + MASK
    return masked


@lru_cache(maxsize=1024)
def _masked_before(text: str) -> str:
    return _masked(text)


def _masked(text: str) -> str:
    masked = _MaskedText(text)
    masked.read()
    return masked.result()


def _readable(text: str) -> str:
    """As much of a text as is read: its beginning, and what it says after its last quote, such as an exit code."""
    if len(text) <= MOST_MASKED:
        return text
    quote = text.rfind('"', len(text) - _LONGEST_END)
    return text[:MOST_MASKED] + "…" + (text[quote:] if quote >= 0 else "")


@dataclass(frozen=True, slots=True)
class _Level:
    """How a passage is read.

    Attributes:
        is_script: whether by a shell, or as arguments that were joined by spaces.
        expands: whether a ``$`` in it stands for what isn't here.
        depth: in how many others it is.
    """

    is_script: bool
    expands: bool
    depth: int


class _MaskedText:
    """A text, and which parts of it are masked."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._ranges: list[tuple[int, int]] = []
        # Nobody quotes that often; what is beyond is masked unread, so that the time stays linear.
        self._left = _READ_AGAIN * len(text) + 10_000

    def read(self) -> None:
        """Find what has to be masked."""
        is_script = _NO_SCRIPT.match(self._text) is None
        self._read(Passage.whole(self._text), _Level(is_script=is_script, expands=is_script, depth=0))

    def result(self) -> str:
        """The text with its masks."""
        parts: list[str] = []
        at = 0
        for begin, end in sorted(self._ranges):
            # What touches is one secret.
            if begin > at or not parts:
                parts += (self._text[at:begin], MASK)
            at = max(at, end)
        return "".join((*parts, self._text[at:]))

    def _mask(self, passage: Passage, begin: int, end: int) -> None:
        if begin < end:
            self._ranges.append(passage.range_of(begin, end))

    def _read(self, passage: Passage, level: _Level) -> None:
        text = passage.text
        if _HINT.search(text) is None:
            return
        self._left -= len(text)
        if level.depth > _DEEPEST or self._left < 0:
            self._mask(passage, 0, len(text))
            return
        at = 0
        for found in _PROCESS.finditer(text):
            self._read_text(passage.part(at, found.start()), level)
            self._read_process(unquoted(passage, found.start(1), found.end(1), "program"), level)
            at = found.end()
        self._read_text(passage.part(at, len(text)) if at else passage, level)

    def _read_process(self, command: Passage, level: _Level) -> None:
        """Read a command with its arguments joined by spaces, the script of a shell in most cases."""
        shell = _SHELL.match(command.text)
        script = command if shell is None else command.part(shell.end(), len(command.text))
        self._read(script, _Level(is_script=shell is not None, expands=shell is not None, depth=level.depth + 1))

    def _read_text(self, passage: Passage, level: _Level) -> None:
        text = passage.text
        self._read_pairs(passage)
        at = 0
        for begin, end, items in _arrays(passage):
            self._read_script(passage.part(at, begin), level)
            self._read_words(map(Word.of_argument, items), _Level(is_script=False, expands=False, depth=level.depth))
            at = end
        self._read_script(passage.part(at, len(text)) if at else passage, level)

    def _read_pairs(self, passage: Passage) -> None:
        """Mask what JSON, YAML and the like give to a name."""
        for found in _PAIR.finditer(passage.text):
            if looks_secret(found["name"]):
                self._mask(passage, *found.span("single" if found["double"] is None else "double"))
        for found in _LINE_PAIR.finditer(passage.text):
            if looks_secret(found["name"]):
                self._mask(passage, *found.span("value"))

    def _read_script(self, passage: Passage, level: _Level) -> None:
        self._read_words(split_words(passage, is_script=level.is_script), level)

    def _read_words(self, words: Iterable[Word], level: _Level) -> None:
        command = Command()
        for word in words:
            if word.is_operator:
                command.operator(word.text)
                continue
            # Where only a part of it is quoted, arguments were joined: it is the beginning of a script.
            is_script = word.is_whole_quote and command.wants_script()
            wanted = command.next(word)
            if wanted is not None:
                self._mask_value(word, wanted, level)
            # What is before a secret in its word is read as well.
            is_read = wanted == 0 or (not is_script and self._mask_assigned(word, level))
            self._mask_urls(word)
            if not is_read:
                self._read_inside(word, level, is_script=is_script)
            for secret, begin in command.masked_before():
                self._mask(secret.passage, begin, len(secret.text.rstrip()))

    def _mask_value(self, word: Word, begin: int, level: _Level) -> None:
        """Mask a word from one of its characters on, with its quotes if they begin there."""
        if begin >= len(word.text) or (
            level.expands and not word.is_literal and _REFERENCE.fullmatch(word.text, begin) is not None
        ):
            # It is only said to be elsewhere, as in TOKEN=$(cat /run/secrets/token).
            return
        if word.pieced is None:
            self._mask(word.source, word.begin + begin, word.end)
            return
        begins = word.pieced.begins
        first, last = word.source.range_of(word.begin, word.end)
        is_quoted_before = begin > 0 and (begins[0] != first or begins[begin - 1] - first != begin - 1)
        if is_quoted_before:
            self._mask(word.pieced, begin, len(word.text))
        else:
            self._ranges.append((first + begin, last))

    def _mask_assigned(self, word: Word, level: _Level) -> bool:
        """Mask what is assigned to names in a word, before its first space; whether that reaches to the word's end."""
        text, at = word.text, 0
        if "=" not in text:
            return False
        # What is further on is read by itself.
        inner = (_INNER if word.substitutions else _BLANK).search(text)
        limit = len(text) if inner is None else inner.start()
        while (found := _ASSIGNED.search(text, at, limit)) is not None:
            at = found.end()
            if not looks_secret(found[1]) or _PINNED_VERSION.match(text, at) is not None:
                continue
            if not (found.start() and text[found.start() - 1] in "?&"):
                self._mask_value(word, at, level)
                self._mask_beyond(word)
                return True
            end = _QUERY_END.search(text, at, limit)
            at, begin = (limit if end is None else end.start()), at
            self._mask(word.passage, begin, at)
        return False

    def _mask_beyond(self, word: Word) -> None:
        """Mask what belongs to a value in a text whose quotes are not a shell's."""
        source, text = word.source, word.source.text
        if word.is_open:
            self._mask(source, word.end, len(text))
            return
        # Another level of quotes than the text is read at: NAME=\"two words\".
        found = _DEEPER_QUOTE.search(text, word.begin, word.end)
        if found is not None and text.count(found[1], word.begin, word.end) == 1:
            end = text.find(found[1], word.end)
            self._mask(source, word.end, end + len(found[1]))

    def _mask_urls(self, word: Word) -> None:
        """Mask passwords in URLs, and what stands for a user where that is a token (RFC 3986, section 3.2.1)."""
        if "://" not in word.text or "@" not in word.text:
            return
        passage = word.passage
        for found in _URL.finditer(word.text):
            if found[2]:
                self._mask(passage, *found.span(3))
            elif found[0].lower().startswith("http") and not _ORDINARY_USER.fullmatch(found[1]):
                self._mask(passage, found.start(1), found.end() - 1)

    def _read_inside(self, word: Word, level: _Level, *, is_script: bool) -> None:
        """Read what is quoted in a word, or the scripts that are in it."""
        if word.is_quoted:
            inner = _Level(is_script=True, expands=level.expands and is_script, depth=level.depth + 1)
            self._read(word.passage, inner)
            return
        inner = _Level(is_script=True, expands=level.expands, depth=level.depth + 1)
        for begin, end in word.substitutions:
            self._read(word.source.part(begin, end), inner)


def _arrays(passage: Passage) -> Iterator[tuple[int, int, list[Passage]]]:
    """The arrays of strings in a text, as JSON writes them: where each begins and ends, and its items."""
    text, at = passage.text, 0
    while (begin := _ARRAY_BEGIN.search(text, at)) is not None:
        items: list[Passage] = []
        at = begin.end()
        while (item := _ARRAY_ITEM.match(text, at)) is not None:
            items.append(unquoted(passage, item.start(1), item.end(1), "program"))
            at = item.end()
            if item[2] == "]":
                yield begin.start(), at, items
                break
