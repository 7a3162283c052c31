"""Versions of container runtimes with holes that a build could use.

Sources: runc's CHANGELOG (1.2.8, 1.3.3 and 1.4.0-rc.3 of 2025-11-05 fixed CVE-2025-31133, CVE-2025-52565 and
CVE-2025-52881; earlier branches got no fix), crun's GHSA-f42g-r5jj-qh4j, and its issue 1906, by which runc's three
are not in it. Those that came later need what steps don't get: CVE-2026-41579 an image whose /dev is a link,
CVE-2026-119101 checkpoints, CVE-2026-88264 and CVE-2026-88265 of crun a step without a /dev of its own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_SAID = re.compile(r"^(runc|crun) version (\d+)\.(\d+)(?:\.(\d+))?(?:-rc\.?(\d+))?", re.MULTILINE)
_RUNC_HOLES = ("CVE-2025-31133", "CVE-2025-52565", "CVE-2025-52881")
_CRUN_HOLES = ("CVE-2025-24965",)
# The first release of each branch without them, and its release candidate; above the last branch all are without.
_RUNC_FIXED = {(1, 2): (8, None), (1, 3): (3, None), (1, 4): (0, 3)}
_CRUN_FIXED = (1, 20)


@dataclass(frozen=True, slots=True)
class RuntimeVersion:
    """The version that a container runtime reports.

    Attributes:
        name: `runc` or `crun`, with the version.
        holes: its known holes; empty if there are none. A distribution may have patched them.
    """

    name: str
    holes: tuple[str, ...]


def runtime_version(said: str) -> RuntimeVersion | None:
    """The version that ``--version`` printed; None for an unknown runtime."""
    found = _SAID.search(said)
    if found is None:
        return None
    major, minor, patch = int(found[2]), int(found[3]), int(found[4] or 0)
    candidate = None if found[5] is None else int(found[5])
    name = found[0].replace(" version", "")
    if found[1] == "crun":
        return RuntimeVersion(name, () if (major, minor) >= _CRUN_FIXED else _CRUN_HOLES)
    if (major, minor) > max(_RUNC_FIXED):
        return RuntimeVersion(name, ())
    fixed = _RUNC_FIXED.get((major, minor))
    return RuntimeVersion(name, () if fixed is not None and _order(patch, candidate) >= _order(*fixed) else _RUNC_HOLES)


def _order(patch: int, candidate: int | None) -> tuple[int, bool, int]:
    """A release comes after its candidates."""
    return (patch, candidate is None, candidate or 0)
