"""A step gets no mount where the kernel shows itself, no raised limit, and nothing else that isn't on the list.

`tests/unit/test_step_config.py` has each field of a step's configuration; this is what builds can ask for.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

from tests.contract.machine_host import Built, Machine, MachineHost, write_context

if TYPE_CHECKING:
    from pathlib import Path

# The mounted cache holds `null` as a symbolic link, which older versions of runc follow when they cover files of /proc.
CACHE = "--mount=type=cache,id=links,target="
FILL = f"{CACHE}/made ln -sf /proc/timer_list /made/null; ln -sf /dev /made/dev; ln -sf ../../proc /made/proc"
LINKS = "ln -s /dev /link; ln -s /proc/sys /chained; ln -s /chained /chain; mkdir /deep; ln -s ../../../sys /deep/sys"
MOUNTS = {
    f"{CACHE}/dev": "/dev",
    f"{CACHE}//dev/": "/dev",
    f"{CACHE}/x/../dev": "/dev",
    f"{CACHE}/dev/./null": "/dev/null",
    f"{CACHE}/dev/shm": "/dev/shm",  # noqa: S108
    f"{CACHE}/proc": "/proc",
    f"{CACHE}/proc/sys/kernel": "/proc/sys/kernel",
    f"{CACHE}/sys/fs/cgroup": "/sys/fs/cgroup",
    "--mount=type=tmpfs,target=/sys/firmware": "/sys/firmware",
    "--mount=type=bind,target=/proc/keys": "/proc/keys",
    f"{CACHE}/link": "/dev",
    f"{CACHE}/link/null": "/dev/null",
    f"{CACHE}/chain/kernel": "/proc/sys/kernel",
    f"{CACHE}/deep/sys/block": "/sys/block",
    f"{CACHE}/a --mount=type=tmpfs,target=/a/dev/pts": "/dev/pts",
    f"{CACHE}/a --mount=type=tmpfs,target=/a/proc": "/proc",
}
ALLOWED_MOUNTS = (
    f"{CACHE}/device",
    f"{CACHE}/a/../procedures",
    "--mount=type=tmpfs,target=/dev/shm,size=1000000",
    f"{CACHE}/a --mount=type=tmpfs,target=/a/inside --mount=type=bind,target=/b --mount=type=tmpfs,target=/link/../t",
)
RAISED = ("rtprio=1:1", "nice=20:20", "nofile=1048577:1048577", "memlock=1099511627776:1099511627776", "msgqueue=-1:-1")
LOWERED = ("nofile=100:200", "core=0:0", "nproc=50:50")


def ran(built: Built) -> bool:
    return re.search(r"^#\d+ [\d.]+ it ran$", built.text, re.MULTILINE) is not None


async def build(machine: Machine, folder: Path, *steps: str, options: tuple[str, ...] = ()) -> Built:
    return await machine.build(await asyncio.to_thread(write_context, folder, *steps), *options)


async def test_a_mount_at_the_kernels_folders_is_refused_by_whatever_way(host: MachineHost, tmp_path: Path) -> None:
    machine = await host.start_ready()
    filled = await build(machine, tmp_path / "filled", FILL)
    assert filled.code == 0, filled.text

    for number, (mount, place) in enumerate(MOUNTS.items()):
        tried = await build(machine, tmp_path / f"tried{number}", LINKS, f"{mount} echo it ran")
        assert tried.code != 0, f"{mount}: {tried.text}"
        assert not ran(tried), f"{mount}: {tried.text}"
        assert f"stoker: a step may not mount at {place}" in tried.text, f"{mount}: {tried.text}"
    for number, mount in enumerate(ALLOWED_MOUNTS):
        allowed = await build(machine, tmp_path / f"allowed{number}", LINKS, f"{mount} echo it ran")
        assert ran(allowed), f"{mount}: {allowed.text}"


async def test_limits_of_a_step_may_be_lowered_and_not_raised(host: MachineHost, tmp_path: Path) -> None:
    machine = await host.start_ready()
    for limit in RAISED:
        tried = await build(machine, tmp_path / "tried", "echo it ran", options=(f"--opt=ulimit={limit}", "--no-cache"))
        assert not ran(tried), f"{limit}: {tried.text}"
        assert f"stoker: a step may not raise the ulimit '{limit.split('=')[0]}'" in tried.text, tried.text
    for limit in LOWERED:
        allowed = await build(
            machine, tmp_path / "allowed", "echo it ran", options=(f"--opt=ulimit={limit}", "--no-cache")
        )
        assert ran(allowed), f"{limit}: {allowed.text}"
