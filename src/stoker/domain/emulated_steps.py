"""Steps whose programs the host can't run itself, which takes many times as long.

What a build is for says nothing of it: a cross compiler runs natively. What a step runs for is in its name, where it is
another platform than the machine's (see `stoker.domain.steps.platform_of`). Of a stage ``FROM scratch`` BuildKit says
no platform, as the programs that were copied there decide it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from stoker.domain.steps import BuildWarning

if TYPE_CHECKING:
    from stoker.domain.steps import Step

_RUNS = re.compile(r"^\[[^\]]*\] RUN ")
# What a CPU runs of another architecture (BuildKit's util/archutil says the same).
_ALSO_RUNS = {"amd64": frozenset({"386"}), "arm64": frozenset({"arm"})}


def emulated_platform(step: Step, native: frozenset[str]) -> str | None:
    """The platform that a step's programs are emulated for; None where it runs none, or they run natively.

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
    """What a record says of it."""
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
