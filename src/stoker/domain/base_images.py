"""The base images of a build, from the names of its steps."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stoker.domain.steps import Step

_FROM = re.compile(r"^\[[^\]]*\] FROM (?P<image>[^\s@]+)@(?P<digest>sha256:[0-9a-f]{64})$")
_SOURCE = re.compile(r"^(?:resolve|docker-image://)\s*(?P<image>[^\s@]+)@(?P<digest>sha256:[0-9a-f]{64})$")


@dataclass(frozen=True, slots=True, order=True)
class BaseImage:
    """An image that a build used.

    Attributes:
        name: with its registry and tag.
        digest: what the tag resolved to.
        platforms: for which platforms the build used it.
    """

    name: str
    digest: str
    platforms: tuple[str, ...]


def base_images(steps: Iterable[Step]) -> tuple[BaseImage, ...]:
    """The base images of a build, from the names of its steps."""
    found: dict[tuple[str, str], set[str]] = {}
    for step in steps:
        texts = [(_FROM, step.name), (_SOURCE, step.name), *((_SOURCE, one.name or one.id) for one in step.transfers)]
        for pattern, text in texts:
            image = pattern.match(text)
            if image is not None:
                found.setdefault((image["image"], image["digest"]), set()).add(step.platform)
    return tuple(sorted(BaseImage(name, digest, tuple(sorted(on))) for (name, digest), on in found.items()))
