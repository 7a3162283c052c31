"""What changed between two builds of the same thing, as far as records show it: base images and Dockerfiles.

The files of a build's context aren't known.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stoker.domain.base_images import BaseImage
    from stoker.domain.steps import Dockerfile

# Of what is between the first and the last difference: comparing takes more than the square of it at worst.
_MOST_LINES = 200
_MOST_SHOWN = 40
_MOST_FILES = 5


@dataclass(frozen=True, slots=True)
class ImageChange:
    """A base image whose digest changed. ``before`` or ``now`` is empty if only one of the builds used it."""

    name: str
    before: str
    now: str


@dataclass(frozen=True, slots=True)
class ChangedLine:
    """A line of a Dockerfile that was added, or else removed. ``number`` is that in its own version, from 1."""

    is_added: bool
    number: int
    text: str


@dataclass(frozen=True, slots=True)
class DockerfileChange:
    """A Dockerfile that changed. ``is_whole`` is False if it has more changed lines than these, or is too long."""

    filename: str
    lines: tuple[ChangedLine, ...]
    is_whole: bool


def changed_images(before: Sequence[BaseImage], now: Sequence[BaseImage]) -> tuple[ImageChange, ...]:
    """The base images whose digests differ. Of an image with several digests, all of them count."""
    old, new = _digests(before), _digests(now)
    return tuple(
        ImageChange(name, old.get(name, ""), new.get(name, ""))
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name)
    )


def changed_dockerfiles(before: Sequence[Dockerfile], now: Sequence[Dockerfile]) -> tuple[DockerfileChange, ...]:
    """The first Dockerfiles that both builds have under the same name and target, and that differ."""
    old = {(file.target, file.filename): file.contents for file in before}
    changes: dict[tuple[str, tuple[ChangedLine, ...]], DockerfileChange] = {}
    for file in now:
        if len(changes) >= _MOST_FILES:
            break
        other = old.get((file.target, file.filename))
        if other is not None and other != file.contents:
            change = _change(file.filename, other, file.contents)
            changes.setdefault((change.filename, change.lines), change)
    return tuple(changes.values())


def _digests(images: Sequence[BaseImage]) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    for image in images:
        found.setdefault(image.name, []).append(image.digest)
    return {name: ", ".join(sorted(set(digests))) for name, digests in found.items()}


def _change(filename: str, before: str, now: str) -> DockerfileChange:
    old, new = before.splitlines(), now.splitlines()
    same = _common(old, new)
    old_end, new_end = len(old), len(new)
    tail = _common(old[same:][::-1], new[same:][::-1])
    old_end, new_end = old_end - tail, new_end - tail
    if max(old_end, new_end) - same > _MOST_LINES:
        return DockerfileChange(filename, (), is_whole=False)
    lines: list[ChangedLine] = []
    matcher = SequenceMatcher(None, old[same:old_end], new[same:new_end], autojunk=False)
    for kind, first_old, last_old, first_new, last_new in matcher.get_opcodes():
        if kind != "equal":
            removed = range(same + first_old, same + last_old)
            added = range(same + first_new, same + last_new)
            lines += [ChangedLine(is_added=False, number=place + 1, text=old[place]) for place in removed]
            lines += [ChangedLine(is_added=True, number=place + 1, text=new[place]) for place in added]
    return DockerfileChange(filename, tuple(lines[:_MOST_SHOWN]), is_whole=len(lines) <= _MOST_SHOWN)


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    """How many lines both begin with."""
    return next(
        (place for place, (ours, theirs) in enumerate(zip(one, other, strict=False)) if ours != theirs),
        min(len(one), len(other)),
    )
