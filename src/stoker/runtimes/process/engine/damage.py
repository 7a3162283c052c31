"""Why a machine ended, as far as its log tells."""

from __future__ import annotations

import re

from stoker.domain.shortening import shortened

# What bbolt, which has all of BuildKit's databases, says or dies of when a file isn't what it wrote; and what reading a
# file that the disk can't give back looks like. Nothing that a full disk says is among them. BuildKit says that it is
# "resetting" its cache database when it begins a new one by itself.
_DAMAGE = re.compile(
    rb"^.*(?:invalid database|version mismatch|checksum error|input/output error|structure needs cleaning"
    rb"|failed to open database file \S*cache\.db, resetting to empty"
    rb"|SIGBUS|panic: (?:invalid )?(?:freelist|page|assertion failed)).*$",
    re.MULTILINE,
)
_LONGEST = 500


def damage_in(log: bytes) -> str | None:
    """The line in which buildkitd reports a damaged volume, or None."""
    found = _DAMAGE.search(log)
    return None if found is None else shortened(found.group().decode(errors="replace").strip(), _LONGEST)
