"""A step that asks for another cgroup is refused, and its machine's limits hold afterwards."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from stoker.domain.hardware import MachineSize
from stoker.runtimes.process.host.cgroups import Cgroups
from tests.contract.machine_host import Machine, MachineHost, nothing_left, traces, write_context

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PROCESSES = 300
MEBIBYTE = 1024**2
SMALL = MachineSize(cpus=1, memory_bytes=256 * MEBIBYTE)
# SELF is the machine's own group, OTHER another machine's, SERVER that of all machines of the server, MARK nobody's.
PARENTS = (
    "/",
    "MARK",
    "/MARK",
    "/MARK.slice:",
    "MARK.slice:",
    "system.slice:MARK:",
    "/stoker",
    "SERVER",
    "OTHER",
    "OTHER/buildkit/MARK.slice:",
    "SELF/engine",
    "SELF/engine/.slice:",
    "SELF/MARK.slice:",
    "SELF/.slice:",
    "SELF/buildkit/MARK.slice:",
    "SELF/buildkit/.slice:",
    "SELF/buildkit/../../../../MARK.slice:x",
    "SELF/../../../MARK.slice:",
    "SELF/buildkit/../../../../MARK.slice:",
    "SELF/./../.././../MARK.slice:",
    "SELF//..//..//..//MARK.slice:",
    "SELF/../OTHERS_NAME/buildkit/MARK.slice:",
    "SELF/buildkit/../engine/MARK.slice:",
    'SELF/buildkit/","MARK.slice:',
    "SELF/buildkit/\n.slice:",
)


def parents(host: MachineHost, mark: str) -> dict[str, str]:
    server = f"/stoker/{host.config.server_id}"
    names = {"SELF": f"{server}/machine", "OTHERS_NAME": "other", "OTHER": f"{server}/other", "SERVER": server}
    names["MARK"] = mark
    return {form: re.sub("|".join(names), lambda found: names[found[0]], form) for form in PARENTS}


@pytest.mark.bound("max_processes")
async def test_a_step_in_another_cgroup_is_refused_and_limits_hold(
    new_host: Callable[..., MachineHost], tmp_path: Path
) -> None:
    host = new_host(max_processes=PROCESSES)
    await host.runtime.prepare_host()
    before = traces(host.config)
    machine, other = [await host.start(host.spec(name, name, size=SMALL)) for name in ("machine", "other")]
    await asyncio.gather(host.wait_ready(machine), host.wait_ready(other))
    mark = f"mark{secrets.token_hex(4)}"
    context = write_context(tmp_path / "context", "echo escaped to $(cat /proc/self/cgroup)")

    for form, parent in parents(host, mark).items():
        tried = await machine.build(context, f"--opt=cgroup-parent={parent}", "--no-cache")
        assert tried.code != 0, f"{form}: {tried.text}"
        assert re.search(r"^#\d+ [\d.]+ escaped to", tried.text, re.MULTILINE) is None, f"{form}: {tried.text}"
        assert "may not choose its cgroup; leave cgroup-parent out" in tried.text, f"{form}: {tried.text}"

    cgroups = Cgroups(host.config.server_id)
    # What BuildKit makes of these is the machine's own place for steps.
    for form in ("", "SELF", "SELF/", "SELF/.", "/SELF", "SELF//", "SELF/buildkit/..", "SELF/../machine"):
        own = form.replace("SELF", cgroups.path("machine"))
        options = [f"--opt=cgroup-parent={own}"] if own else []
        inside = await machine.build(context, *options, "--no-cache")
        assert inside.code == 0, f"{form}: {inside.text}"
        # With v2 alone a step sees its own group as the root.
        place = r"0::/( |$)" if cgroups.is_unified() else rf"memory:{cgroups.path('machine')}/buildkit/\w+"
        assert re.search(rf"escaped to .*{place}", inside.text, re.MULTILINE), f"{form}: {inside.text}"

    # Here v1 has the controllers that limits need, so that with v2 alone there are none.
    if not cgroups.lacking():
        await limits_hold(machine, tmp_path)
    neighbour = await other.build(write_context(tmp_path / "neighbour", "echo served"))
    assert neighbour.code == 0, neighbour.text

    assert [path for path, _, _ in os.walk("/sys/fs/cgroup") if mark in path] == []
    for one in (machine, other):
        await host.runtime.stop(one.spec.machine_id, 0)
    await nothing_left(host.config, before)


async def limits_hold(machine: Machine, tmp_path: Path) -> None:
    forks = f"i=0; while [ $i -lt {2 * PROCESSES} ]; do sleep 60 & i=$((i+1)); done; echo all of them"
    takes = "--mount=type=tmpfs,target=/memory dd if=/dev/zero of=/memory/all bs=1M count=1000"
    forked = await machine.build(write_context(tmp_path / "forks", forks))
    took = await machine.build(write_context(tmp_path / "takes", takes))
    assert "can't fork" in forked.text, forked.text
    assert "the machine ran out of memory" in took.text, took.text


async def test_it_is_the_same_with_cgroup_v2_alone() -> None:
    """Run the attack again, in a mount namespace where cgroups are unified."""
    tests = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "another_cgroup", __file__]
    hide = 'mount -t cgroup2 cgroup2 /sys/fs/cgroup && exec "$@"'
    process = await asyncio.create_subprocess_exec(
        "unshare", "--mount", "sh", "-c", hide, "sh", *tests, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    assert b"1 passed" in output, output.decode()
