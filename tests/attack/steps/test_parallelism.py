"""A machine runs as many steps at once as it may, whatever its builds ask for, and others' machines run theirs."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

import pytest

from tests.contract.machine_host import BUILD_SECONDS, Built, Machine, MachineHost, write_context

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

STEPS = 4
HELD = r"^#\d+ [\d.]+ step \d ran from ([\d.]+) to ([\d.]+)$"


def many_steps(folder: Path) -> Path:
    """A context of which all steps could run at once."""
    write_context(folder)
    tools = (folder / "Dockerfile").read_text().replace("FROM scratch", "FROM scratch AS tools")
    up = "$(cut -d' ' -f1 /proc/uptime)"
    stages = [
        f"FROM tools AS s{number}\nRUN from={up}; sleep 1; echo step {number} ran from $from to {up}; touch /{number}\n"
        for number in range(STEPS)
    ]
    copies = "".join(f"COPY --from=s{number} /{number} /\n" for number in range(STEPS))
    (folder / "Dockerfile").write_text(f"{tools}{''.join(stages)}FROM scratch\n{copies}")
    return folder


def most_at_once(built: Built) -> int:
    assert built.code == 0, built.text
    times = [(float(begun), float(ended)) for begun, ended in re.findall(HELD, built.text, re.MULTILINE)]
    assert len(times) == STEPS, built.text
    return max(sum(begun <= moment < ended for begun, ended in times) for moment, _ in times)


@pytest.mark.bound("max_parallelism")
async def test_steps_beyond_the_bound_wait_for_their_machines_others(
    new_host: Callable[..., MachineHost], tmp_path: Path
) -> None:
    host = new_host(max_parallelism=1)
    await host.runtime.prepare_host()
    one, other = await host.start_ready("one", "one"), await host.start_ready("other", "other")

    async def builds(machine: Machine, name: str) -> Built:
        return await machine.build(await asyncio.to_thread(many_steps, tmp_path / name))

    async with asyncio.timeout(BUILD_SECONDS):
        first, second = await asyncio.gather(builds(one, "one"), builds(other, "other"))

    assert (most_at_once(first), most_at_once(second)) == (1, 1)
    assert first.code == second.code == 0
