"""Where the instructions of a Dockerfile are, and how BuildKit names the steps that they become.

The rules are those of BuildKit's parser (https://docs.docker.com/reference/dockerfile/#format): lines end at line feeds
alone, a comment or an empty line ends no continuation, and directives are at the top.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stoker.domain.masking import MOST_MASKED, mask_secrets

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_DIRECTIVE = re.compile(r"#\s*([A-Za-z][A-Za-z0-9]*)\s*=\s*(\S*)\s*$")
_HEREDOC = re.compile(r"""(?:^|(?<=\s))\d*<<(-?)(?P<quote>['"]?)(?P<name>[^\s<'"]+)(?P=quote)(?=\s|$)""")
_WITH_HEREDOCS = frozenset({"RUN", "COPY", "ADD"})
_VARIABLE = re.compile(r"\$(?:(?P<bare>[A-Za-z_]\w*)|\{(?P<braced>[A-Za-z_]\w*)[^}]*\})", re.ASCII)
_DECLARED = re.compile(r"(?:ARG|ENV)\s", re.IGNORECASE)
_NAME = re.compile(r"(?:^|\s)([A-Za-z_]\w*)(?==|\s|$)", re.ASCII)
# What BuildKit gives to every build (https://docs.docker.com/reference/dockerfile/#automatic-platform-args-in-the-global-scope).
_GIVEN = frozenset(f"{which}{part}" for which in ("TARGET", "BUILD") for part in ("PLATFORM", "OS", "ARCH", "VARIANT"))
_LEAST_FIXED = 3


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction.

    Attributes:
        first_line: where it begins, from 1 on.
        last_line: where it ends, with its heredocs.
        text: on one line and with single spaces, its first word in capitals, and with a summary of its heredoc, as in
            the name of a step.
    """

    first_line: int
    last_line: int
    text: str


def instructions_of(contents: str) -> list[Instruction]:
    """The instructions of a Dockerfile. What follows a heredoc without an end is left out."""
    lines = [line.removesuffix("\r") for line in contents.split("\n")]
    return list(_instructions(lines))


def find_instruction(instructions: Sequence[Instruction], wanted: str) -> Instruction | None:
    """The instruction that a step's name, without its place, is made of; None when that isn't certain.

    Names have the values of arguments and of the environment in place of their names.
    """
    text = " ".join(wanted.split())
    exact = [one for one in instructions if one.text == text or mask_secrets(one.text) == text]
    if exact:
        return exact[0] if len(exact) == 1 else None
    known = _declared(instructions)
    found = [one for one in instructions if _may_be(mask_secrets(one.text), text, known)]
    return found[0] if len(found) == 1 else None


def mask_dockerfile(contents: str) -> str:
    """A Dockerfile with masks in place of secrets' values, and the same lines otherwise."""
    lines = contents.split("\n")
    done = 0
    masked: list[str] = []
    for one in _instructions([line.removesuffix("\r") for line in lines]):
        masked += map(mask_secrets, lines[done : one.first_line - 1])
        masked += _masked_lines(lines[one.first_line - 1 : one.last_line])
        done = one.last_line
    return "\n".join((*masked, *map(mask_secrets, lines[done:])))


def _masked_lines(lines: list[str]) -> list[str]:
    """The lines of an instruction, as many as before: a secret can be on several of them."""
    text = "\n".join(lines)
    if len(text) > MOST_MASKED:
        return list(map(mask_secrets, lines))
    after = mask_secrets(text).split("\n")
    return after + [""] * (len(lines) - len(after))


def _instructions(lines: Sequence[str]) -> Iterator[Instruction]:
    escape, at = _escape_of(lines), 0
    while at < len(lines):
        line = lines[at].strip()
        if not line or line.startswith("#"):
            at += 1
            continue
        first, parts = at, list[str]()
        while at < len(lines):
            text = lines[at].strip() if not parts else lines[at].rstrip()
            at += 1
            if parts and (not text or text.lstrip().startswith("#")):
                continue
            if not text.endswith(escape) or text.endswith(2 * escape):
                parts.append(text)
                break
            parts.append(text.removesuffix(escape))
        words = " ".join("".join(parts).split())
        keyword, _, rest = words.partition(" ")
        summary = ""
        if keyword.upper() in _WITH_HEREDOCS:
            for found in _HEREDOC.finditer(rest):
                end = _end_of_heredoc(lines, at, found["name"], strips=bool(found[1]))
                if end is None:
                    return
                if not summary and keyword.upper() == "RUN" and found.start() == 0 and found.end() == len(rest):
                    summary = _summary(lines[at:end])
                at = end + 1
        yield Instruction(first + 1, at, f"{keyword.upper()} {rest}{summary}".rstrip())


def _escape_of(lines: Sequence[str]) -> str:
    """The character that continues lines: a backslash, if no directive at the top says another."""
    for line in lines:
        found = _DIRECTIVE.match(line.strip())
        if found is None:
            break
        if found[1].lower() == "escape" and found[2] in {"\\", "`"}:
            return found[2]
    return "\\"


def _end_of_heredoc(lines: Sequence[str], at: int, name: str, *, strips: bool) -> int | None:
    """The line that ends a heredoc; None without one."""
    for number in range(at, len(lines)):
        if (lines[number].lstrip("\t") if strips else lines[number]) == name:
            return number
    return None


def _summary(lines: Sequence[str]) -> str:
    """What a name says of a heredoc that is a script: its first line."""
    text = "\n".join(lines).strip()
    first, more, _ = text.partition("\n")
    return f" ({' '.join(first.split())}{'...' if more else ''})" if text else " ()"


def _declared(instructions: Sequence[Instruction]) -> frozenset[str]:
    """The names for which BuildKit puts values."""
    texts = [one.text for one in instructions if _DECLARED.match(one.text)]
    return _GIVEN | {name for text in texts for name in _NAME.findall(text.partition(" ")[2])}


def _may_be(text: str, wanted: str, known: frozenset[str]) -> bool:
    """Whether a text becomes the wanted one when its variables get some value."""
    parts, at = [""], 0
    for found in _VARIABLE.finditer(text):
        if (found["bare"] or found["braced"]) in known:
            parts[-1] += text[at : found.start()]
            parts.append("")
            at = found.end()
    parts[-1] += text[at:]
    first, *middle, last = parts if len(parts) > 1 else (*parts, None)
    if last is None or len("".join(parts).partition(" ")[2].replace(" ", "")) < _LEAST_FIXED:
        return False
    if not wanted.startswith(first) or not wanted.endswith(last):
        return False
    place, end = len(first), len(wanted) - len(last)
    for part in middle:
        place = wanted.find(part, place, end)
        if place < 0:
            return False
        place += len(part)
    return place <= end
