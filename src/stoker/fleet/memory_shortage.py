"""Says that a machine ran out of memory, and tells its builds when a step was killed because of it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from stoker.domain.hardware import GIBIBYTE
from stoker.runtimes.contract import StepKills
from stoker.services.build_completion import hint_builds_of_machine
from stoker.store.locks import Lock

if TYPE_CHECKING:
    from stoker.domain.machines import Machine
    from stoker.runtimes.contract import Runtime
    from stoker.services.core import Core

MEMORY_ADVICE = "give the project larger hardware, or let it run less at once"

_log = logging.getLogger(__name__)


async def note_killed_steps(core: Core, runtime: Runtime, machine: Machine) -> None:
    """Give a machine's builds a hint each time that one of its steps is killed for lack of memory, until cancelled."""
    if not isinstance(runtime, StepKills):
        return
    while True:
        await runtime.wait_step_killed(machine.id)
        hint = f"{memory_note(machine)}, and something in a step was killed; {MEMORY_ADVICE}"
        _log.warning("machine %s: %s", machine.id, hint)
        async with core.database.write() as tx:
            await tx.lock(Lock.PROJECT, machine.project_id)
            await hint_builds_of_machine(tx, machine.id, hint)


def memory_note(machine: Machine) -> str:
    """That a machine ran out of memory, and its limit."""
    memory = None if machine.placement is None else machine.placement.memory_bytes
    limit = "" if memory is None else f" (limit {memory / GIBIBYTE:.3g} GiB)"
    return f"the machine ran out of memory{limit}"
