"""With the list of what a step may have switched off, a user namespace alone keeps steps from the host."""

from __future__ import annotations

import ctypes
import os
import re
import secrets
import shutil
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from stoker.domain.privileges import Entitlement, Privileges
from stoker.runtimes.process.config import UserNamespaces
from stoker.runtimes.process.engine.engine_files import MachineFolder
from tests.attack.framework.nowhere import compile_static
from tests.contract.machine_host import Machine, MachineHost, nothing_left, traces, write_context

if TYPE_CHECKING:
    from collections.abc import Callable

PROCESSES = 2000
SOURCE = Path(__file__).with_name("exhaust.c")
ALLOWED = "--allow=security.insecure"
# Nothing here does harm should it work.
TRIES = {
    "core pattern": "echo x >/proc/sys/kernel/core_pattern",
    "swappiness": "cat /proc/sys/vm/swappiness >/proc/sys/vm/swappiness",
    "timers": "cat /proc/timer_list",
    "kernel memory": "head -c 1 /proc/kcore",
    "kernel log": "dmesg",
    "magic key": "echo h >/proc/sysrq-trigger",
    "device": "mknod /device b 7 0",
    "priority": "renice -n -20 -p $$",
    "oom score": "echo -1000 >/proc/self/oom_score_adj",
    "cgroups": "mkdir /groups; mount -t cgroup -o memory none /groups && echo $$ >/groups/cgroup.procs",
    "host's files": "ls /proc/1/root/root",
}
PARENTS = (
    "/",
    "/MARK",
    "/MARK.slice:",
    "/stoker/SERVER/other/MARK.slice:",
    "/stoker/SERVER/machine/../../../MARK.slice:",
)
LIBC = ctypes.CDLL(None, use_errno=True)
ADD_KEY = {"x86_64": 248, "aarch64": 217}[os.uname().machine]
USER_KEYRING = -4


def add_key(name: str) -> int:
    return LIBC.syscall(ADD_KEY, b"user", name.encode(), b"x", ctypes.c_size_t(1), USER_KEYRING)


def without_list(host: MachineHost, machine: Machine) -> None:
    """Take the check of a step's configuration out of what BuildKit calls to run it."""
    script = MachineFolder(host.config.data / "machines" / machine.spec.machine_id).container_runtime
    lines = script.read_text().splitlines(keepends=True)
    left = [line for line in lines if "step_config.main" not in line]
    assert len(left) == len(lines) - 1
    script.write_text("".join(left))


async def started(host: MachineHost, name: str) -> Machine:
    everything = Privileges(entitlements=frozenset(Entitlement))
    machine = await host.start(replace(host.spec(name, name), privileges=everything))
    await host.wait_ready(machine)
    without_list(host, machine)
    return machine


def astray(host: MachineHost, machine: Machine) -> list[str]:
    """Processes with an id of the machine's that are in another group than the machine's."""
    assert machine.placement.isolation == "user-namespace"
    inside = f"/stoker/{host.config.server_id}/{machine.spec.machine_id}"
    engine = Path("/run/stoker/ids")
    (first,) = [
        int(file.name)
        for file in engine.iterdir()
        if file.read_text().endswith(f"{host.config.server_id}/machines/{machine.spec.machine_id}")
    ]
    found: list[str] = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            groups = [line.split(":", 2) for line in (folder / "cgroup").read_text().splitlines()]
            if first <= (folder / "status").stat().st_uid < first + 65_536:
                found += [
                    f"{folder}: {path}"
                    for _, kind, path in groups
                    if kind in ("memory", "pids", "") and inside not in path
                ]
    return found


async def test_steps_with_all_privileges_get_nowhere_without_the_list(
    new_host: Callable[..., MachineHost], tmp_path: Path
) -> None:
    host = new_host(user_namespaces=UserNamespaces.REQUIRE, max_processes=PROCESSES)
    await host.runtime.prepare_host()
    before, core_pattern = traces(host.config), Path("/proc/sys/kernel/core_pattern").read_text()
    machine, other = await started(host, "machine"), await started(host, "other")
    mark = f"mark{secrets.token_hex(4)}"
    key = add_key(mark)
    assert key > 0

    tries = "; ".join(
        f'({command}) >/dev/null 2>&1 && echo "{name} worked" || echo "{name} refused"'
        for name, command in TRIES.items()
    )
    seen = f"echo keys $(grep -c {mark} /proc/keys); cat /proc/self/uid_map"
    built = await machine.build(write_context(tmp_path / "tries", f"--security=insecure {tries}; {seen}"), ALLOWED)
    assert built.code == 0, built.text
    said = dict(re.findall(r"^#\d+ [\d.]+ ([\w' ]+) (worked|refused)$", built.text, re.MULTILINE))
    assert said == dict.fromkeys(TRIES, "refused")
    assert " keys 0\n" in built.text, built.text
    assert Path("/proc/sys/kernel/core_pattern").read_text() == core_pattern

    for form in PARENTS:
        parent = form.replace("SERVER", host.config.server_id).replace("MARK", mark)
        held = write_context(tmp_path / "held", "echo it runs; sleep 1")
        await machine.build(held, f"--opt=cgroup-parent={parent}", "--no-cache")
        assert [
            path
            for path, _, _ in os.walk("/sys/fs/cgroup")
            if mark in path and f"{host.config.server_id}/machine/" not in path
        ] == []
    LIBC.syscall({"x86_64": 250, "aarch64": 219}[os.uname().machine], 3, key)

    context = write_context(tmp_path / "exhaust")
    compile_static(SOURCE, context / "exhaust")
    shutil.copytree(context, tmp_path / "modest")
    for folder, most in ((context, 10_000), (tmp_path / "modest", 5)):
        with (folder / "Dockerfile").open("a") as file:
            file.write(f"COPY exhaust /exhaust\nRUN --security=insecure /exhaust {most}\n")
    async with machine.building(context, r"^#\d+ [\d.]+ took .*$", ALLOWED) as text:
        took = {name: int(number) for name, number in re.findall(r"(\w+)=(\d+)", text)}
        assert took["raised"] == 0
        assert 0 < took["inotify"] < 10_000
        assert 0 < took["threads"] < PROCESSES
        assert astray(host, machine) == []
        instances = [LIBC.inotify_init() for _ in range(5)]
        assert min(instances) >= 0, "the host has inotify instances"
        for one in instances:
            os.close(one)
        neighbour = await other.build(tmp_path / "modest", ALLOWED)
    assert " took inotify=5 keys=5 threads=5 raised=0\n" in neighbour.text, neighbour.text

    for one in (machine, other):
        await host.runtime.stop(one.spec.machine_id, 0)
    await nothing_left(host.config, before)
