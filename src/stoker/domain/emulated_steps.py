"""Steps whose programs are emulated, which takes many times as long.

The build's target platform doesn't show it: a cross compiler runs natively. A step's name shows its platform where it
is another one than the machine's (see `stoker.domain.steps.platform_of`). For a stage ``FROM scratch`` BuildKit shows
no platform, as it depends on the programs that are copied there.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from stoker.domain.steps import BuildWarning

if TYPE_CHECKING:
    from stoker.domain.steps import Step

_RUNS = re.compile(r"^\[[^\]]*\] RUN ")
# Other architectures that a CPU runs natively (as in BuildKit's util/archutil).
_ALSO_RUNS = {"amd64": frozenset({"386"}), "arm64": frozenset({"arm"})}


def emulated_platform(step: Step, native: frozenset[str]) -> str | None:
    """The platform whose programs a step emulates; None if it runs none, or natively.

    Args:
        step: the step.
        native: the architectures that the hosts of machines run themselves, such as ``amd64``.
    """
    if step.cached or step.started_at is None or not _RUNS.match(step.name):
        return None
    architecture = step.platform.split("/")[1] if "/" in step.platform else ""
    runs = native.union(*(_ALSO_RUNS.get(one, frozenset[str]()) for one in native))
    return None if not native or not architecture or architecture in runs else step.platform


def emulation_warning(build_id: str, ref: str, platform: str) -> BuildWarning:
    """The warning in a record."""
    return BuildWarning(
        build_id=build_id,
        solve_ref=ref,
        digest="",
        level=1,
        short=f"{platform} is emulated on this server, so steps take many times as long as on a host of that platform",
        detail=(),
        url="",
        filename="",
        ranges=(),
    )
