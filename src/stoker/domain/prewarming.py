"""Whether a machine starts for a build that was just created, before its client asks for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stoker.domain.machines import MachineState
from stoker.domain.queue import has_room

if TYPE_CHECKING:
    from datetime import datetime

    from stoker.domain.machines import Machine
    from stoker.domain.queue import BuildLimits


@dataclass(frozen=True, slots=True)
class Load:
    """What goes on already.

    Attributes:
        of_organization: machines of the machine's organization that aren't stopped.
        on_server: the same of all.
        queue: whether builds wait for their turn.
    """

    of_organization: int
    on_server: int
    queue: bool


def may_prewarm(machine: Machine, load: Load, limits: BuildLimits, stops_before: datetime) -> bool:
    """Whether to start a machine that no build holds, or to keep it from being stopped.

    It never takes what a build waits for. Machines without builds count like builds, so that whoever creates builds
    and never asks for an endpoint has no more machines than with builds.

    Args:
        machine: the machine.
        load: what goes on already.
        limits: how many builds may hold machines.
        stops_before: a ready machine is kept if it has been idle since before this moment, so that it would stop soon.
    """
    if machine.state is MachineState.READY:
        return machine.idle_since is not None and machine.idle_since < stops_before
    if machine.state is not MachineState.STOPPED or load.queue:
        return False
    if machine.failures or machine.keeps_crashing or machine.waits_for is not None:
        return False
    return has_room(load.of_organization, limits.per_organization) and has_room(load.on_server, limits.on_server)
