"""Which BuildKit versions may be used.

Versions are ordered as semver.org (2.0.0, item 11) says, with one exception: what `git describe` prints for a commit
after a tag, such as ``v0.34.2-5-gabc1234``, counts as that tag, not as a pre-release of it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from stoker.engine.failures import EngineUnavailable

FLOOR = "v0.34.2"
"""The oldest BuildKit without known holes."""

_VERSION = re.compile(r"v?(\d+)\.(\d+)\.(\d+)(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?")
_AFTER_A_TAG = re.compile(r"(?:(.+)-)?\d+-g[0-9a-f]{4,40}(?:\.m)?")
_MAX_LENGTH = 128


@dataclass(frozen=True, slots=True)
class Version:
    """A version of BuildKit; ``before_release`` is the part after the hyphen, None for a release."""

    major: int
    minor: int
    patch: int
    before_release: str | None = None

    def __lt__(self, other: Version) -> bool:
        return self._order() < other._order()

    def __ge__(self, other: Version) -> bool:
        return not self < other

    def _order(self) -> tuple[int, int, int, int, tuple[tuple[int, int, str], ...]]:
        parts = self.before_release.split(".") if self.before_release is not None else ()
        identifiers = tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts)
        return (self.major, self.minor, self.patch, int(self.before_release is None), identifiers)


def parsed_version(text: str) -> Version | None:
    """``text`` as a version, with or without the leading "v"; None when it isn't one."""
    match = _VERSION.fullmatch(text.strip()) if len(text) <= _MAX_LENGTH and text.isascii() else None
    if match is None:
        return None
    before_release = match[4]
    if before_release is not None and (described := _AFTER_A_TAG.fullmatch(before_release)):
        before_release = described[1]
    return Version(int(match[1]), int(match[2]), int(match[3]), before_release)


def require_floor(version: str, what: str, floor: str = FLOOR) -> None:
    """Check that ``version`` is at least ``floor``.

    Args:
        version: what the program says, such as ``v0.34.2``.
        what: whose version it is, for the message.
        floor: the oldest version that is good enough.

    Raises:
        EngineUnavailable: it is older, or not a version.
    """
    lowest = parsed_version(floor)
    if lowest is None:
        raise ValueError(f"{floor} is not a version")
    given = parsed_version(version)
    if given is None or given == Version(0, 0, 0):
        raise EngineUnavailable(
            f'{what} says that its version is "{version[:40]}", so it can\'t be told whether it is at least {floor}; '
            "give a released BuildKit"
        )
    if given < lowest:
        raise EngineUnavailable(
            f"{what} is BuildKit {version}; it must be at least {floor}, because older ones have known holes"
        )
