"""Machines in user namespaces: what they are on the host, and that nothing else about them changes."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from stoker.domain.cache_policy import CachePolicy
from stoker.domain.machines import Isolation
from stoker.runtimes.errors import HostUnfit
from stoker.runtimes.process.config import StoreKind, UserNamespaces
from stoker.runtimes.process.engine.emulation import native_platform
from tests.contract.machine_host import LEFT_SECONDS, machine_processes, run
from tests.harness.contexts import busybox

if TYPE_CHECKING:
    from collections.abc import Callable

    from stoker.engine import ContainerRuntime
    from tests.contract.machine_host import Built, Machine, MachineHost

_IDS = 65_536
_CACHED = 4
_MEGABYTE = 1000**2
_SET_XATTRS = r"""
#include <sys/xattr.h>
#include <stdio.h>
int main(int argc, char **argv) {
    /* cap_net_bind_service=ep, as capabilities(7) lays out version 2. */
    unsigned char capability[20] = {1, 0, 0, 2, 0, 4};
    if (setxattr(argv[1], "security.capability", capability, sizeof capability, 0)) { perror("capability"); return 1; }
    if (setxattr(argv[1], "user.colour", "blue", 4, 0)) { perror("user"); return 1; }
    return 0;
}
"""


@pytest.fixture(scope="session")
def set_xattrs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A static program that gives a file a capability and an extended attribute."""
    folder = tmp_path_factory.mktemp("xattrs")
    (folder / "x.c").write_text(_SET_XATTRS)
    subprocess.run(["cc", "-static", "-o", folder / "set-xattrs", folder / "x.c"], check=True)
    return folder / "set-xattrs"


def _context(folder: Path, *lines: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "busybox").write_bytes(busybox(native_platform().architecture).read_bytes())
    (folder / "busybox").chmod(0o755)
    top = ("FROM scratch", "COPY busybox /bin/sh", "COPY busybox /bin/busybox", "ENV PATH=/bin")
    (folder / "Dockerfile").write_text("\n".join([*top, "RUN /bin/busybox --install -s /bin", *lines]) + "\n")
    return folder


async def _in_user_namespace(host: MachineHost, machine_id: str = "machine", volume_id: str = "volume") -> Machine:
    machine = await host.start_ready(machine_id, volume_id)
    assert machine.placement.isolation == Isolation.USER_NAMESPACE
    return machine


@pytest.fixture
async def held(new_host: Callable[..., MachineHost]) -> MachineHost:
    """A server whose machines have user namespaces, or that doesn't start."""
    host = new_host(user_namespaces=UserNamespaces.REQUIRE)
    await host.runtime.prepare_host()
    return host


def _owners(host: MachineHost, machine_id: str) -> set[int]:
    """All user ids, on the host, that processes of the machine have."""
    found: set[int] = set()
    for pid in machine_processes(host.config.server_id, machine_id):
        status = Path("/proc", str(pid), "status").read_text()
        found |= {int(word) for line in status.splitlines() if line.startswith("Uid:") for word in line.split()[1:]}
    return found


async def test_no_process_of_a_machine_has_an_id_of_the_host(held: MachineHost, tmp_path: Path) -> None:
    machine = await _in_user_namespace(held)
    context = _context(tmp_path / "c", "RUN cat /proc/self/uid_map; id -u; echo begun; sleep 30")
    async with machine.building(context, r"^#\d+ [\d.]+ begun$"):
        owners = _owners(held, "machine")
    assert owners
    assert min(owners) >= _IDS
    assert max(owners) < min(owners) + _IDS


async def test_each_machine_has_a_range_that_no_other_has_and_gets_it_again(held: MachineHost) -> None:
    first, second = await _in_user_namespace(held, "one", "v1"), await _in_user_namespace(held, "two", "v2")
    ranges = {min(_owners(held, name)) for name in ("one", "two")}
    assert len(ranges) == 2
    for machine in (first, second):
        os.kill(machine.process_id, signal.SIGKILL)
        await asyncio.wait_for(held.runtime.wait_exit(machine.spec.machine_id, machine.placement), LEFT_SECONDS)
        await held.runtime.stop(machine.spec.machine_id, 0)
    await _in_user_namespace(held, "three", "v3")
    assert min(_owners(held, "three")) in ranges


async def test_a_step_sees_its_own_ids_and_nothing_of_the_hosts_tables(held: MachineHost, tmp_path: Path) -> None:
    machine = await _in_user_namespace(held)
    tried = (
        'RUN read -r inside outside count </proc/self/uid_map; echo "ids $inside $count"',
        "RUN (echo x >/proc/sys/kernel/core_pattern) 2>/dev/null && echo written || echo refused",
        "RUN cat /proc/keys 2>/dev/null | wc -l",
        "RUN mknod /null c 1 3 && echo made || echo no device",
        "RUN chown 65535:65535 /bin/busybox && stat -c %u:%g /bin/busybox",
        "RUN chown 65536 /bin/busybox || echo beyond",
    )
    built = await machine.build(_context(tmp_path / "c", *tried))
    assert built.code == 0, built.text
    for said in ("ids 0 65536", "refused", "no device", "65535:65535", "beyond"):
        assert f" {said}\n" in built.text, (said, built.text)


async def test_a_program_in_the_hosts_folder_of_temporary_files_is_found(
    new_host: Callable[..., MachineHost], container_runtime: ContainerRuntime, tmp_path: Path
) -> None:
    """The machine has an empty one of its own, in which it sees what it needs."""
    assert container_runtime.program is not None
    copied = tmp_path / "programs" / container_runtime.program.name
    copied.parent.mkdir()
    shutil.copy(container_runtime.program, copied)
    host = new_host(user_namespaces=UserNamespaces.REQUIRE, container_runtime=copied)
    await host.runtime.prepare_host()
    machine = await _in_user_namespace(host)
    built = await machine.build(_context(tmp_path / "c", "RUN echo built"))
    assert built.code == 0, built.text


async def test_archives_are_unpacked_with_their_owners_but_for_device_nodes(held: MachineHost, tmp_path: Path) -> None:
    machine = await _in_user_namespace(held)
    context = _context(tmp_path / "c", "ADD base.tar /base/", "RUN stat -c %u:%g /base/owned")
    owned, device = tarfile.TarInfo("owned"), tarfile.TarInfo("null")
    owned.uid, owned.gid = 33, 65_535
    device.type, device.devmajor, device.devminor = tarfile.CHRTYPE, 1, 3
    with tarfile.open(context / "base.tar", "w") as archive:
        archive.addfile(owned)
    built = await machine.build(context)
    assert built.code == 0, built.text
    assert " 33:65535\n" in built.text
    with tarfile.open(context / "base.tar", "w") as archive:
        archive.addfile(device)
    refused = await machine.build(context)
    # As rootless BuildKit does: only layers of images are unpacked without their devices (containerd's archive).
    assert refused.code != 0
    assert "operation not permitted" in refused.text


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["RUN mknod /null c 1 3"], "can't make device nodes"),
        (["RUN chown 70000 /bin/busybox"], "have the user and group ids 0 to 65535"),
        (["USER 70000", "RUN id"], "have the user and group ids 0 to 65535"),
    ],
)
async def test_a_step_that_asks_for_what_is_not_there_is_told_so(
    held: MachineHost, tmp_path: Path, lines: list[str], said: str
) -> None:
    machine = await _in_user_namespace(held)
    built = await machine.build(_context(tmp_path / "c", *lines))
    assert built.code != 0
    assert f"stoker: machines of this server {said}" in built.text, built.text
    assert 'user_namespaces = "off"' in built.text


async def _digest(machine: Machine, context: Path, folder: Path) -> str:
    archive = folder / "image.tar"
    options = f"--output=type=oci,dest={archive},rewrite-timestamp=true"
    built = await machine.build(context, options, "--opt=build-arg:SOURCE_DATE_EPOCH=1700000000", "--no-cache")
    assert built.code == 0, built.text
    with tarfile.open(archive) as image:
        index = image.extractfile("index.json")
        assert index is not None
        return json.loads(index.read())["manifests"][0]["digest"]


async def test_images_are_the_same_as_those_of_the_hosts_root(
    new_host: Callable[..., MachineHost], set_xattrs: Path, tmp_path: Path
) -> None:
    context = _context(
        tmp_path / "c",
        "COPY set-xattrs /bin/set-xattrs",
        "RUN mkdir /made && echo one >/made/one && ln /made/one /made/two && chown 33:44 /made/one",
        "RUN echo program >/made/program && chmod 4755 /made/program && set-xattrs /made/program",
        "RUN dd if=/dev/zero of=/made/sparse bs=1 count=1 seek=1048576 2>/dev/null && mkfifo /made/pipe",
        "RUN ln -s /nowhere /made/link && mkdir -m 1777 /made/scratch && chown 65535:65535 /made/scratch",
    )
    (context / "set-xattrs").write_bytes(set_xattrs.read_bytes())
    (context / "set-xattrs").chmod(0o755)
    digests: list[str] = []
    for wanted in (UserNamespaces.REQUIRE, UserNamespaces.OFF):
        host = new_host(user_namespaces=wanted)
        await host.runtime.prepare_host()
        digests.append(await _digest(await host.start_ready(), context, tmp_path))
    assert digests[0] == digests[1]


async def test_a_cache_goes_on_from_either_way_to_the_other(
    new_host: Callable[..., MachineHost], set_xattrs: Path, tmp_path: Path
) -> None:
    context = _context(
        tmp_path / "c",
        "COPY set-xattrs /bin/set-xattrs",
        "RUN echo made >/made && chown 33:44 /made && set-xattrs /made && sha256sum /made",
        "RUN --mount=type=cache,target=/kept echo more >>/kept/file; stat -c %u:%g /made",
    )
    (context / "set-xattrs").write_bytes(set_xattrs.read_bytes())
    (context / "set-xattrs").chmod(0o755)
    built: list[Built] = []
    data = new_host().config.data
    for wanted in (UserNamespaces.OFF, UserNamespaces.REQUIRE, UserNamespaces.OFF):
        host = new_host(user_namespaces=wanted, data=data)
        await host.runtime.prepare_host()
        machine = await host.start_ready()
        built.append(await machine.build(context))
        assert built[-1].code == 0, built[-1].text
        await host.runtime.stop("machine", 20)
        await host.runtime.release_host()
    assert built[0].cached == 0
    assert [one.cached for one in built[1:]] == [6, 6], built[1].text


@pytest.mark.parametrize("first", [UserNamespaces.OFF, UserNamespaces.REQUIRE])
async def test_copies_snapshots_and_caps_of_a_cache_are_the_same_for_both_ways(
    new_host: Callable[..., MachineHost], tmp_path: Path, first: UserNamespaces
) -> None:
    then = UserNamespaces.REQUIRE if first is UserNamespaces.OFF else UserNamespaces.OFF
    settings = {"data": new_host().config.data, "volume_headroom_bytes": 80 * _MEGABYTE}
    policy = CachePolicy(keep_bytes=20 * _MEGABYTE)
    context = _context(tmp_path / "c", "RUN echo made >/made && chown 33:44 /made && chmod 600 /made")

    async def built(host: MachineHost, volume_id: str, folder: Path = context) -> Built:
        machine = await host.wait_ready(await host.start(host.spec("machine", volume_id, cache_policy=policy)))
        assert (machine.placement.isolation == Isolation.USER_NAMESPACE) == (
            host.config.user_namespaces is UserNamespaces.REQUIRE
        )
        done = await machine.build(folder)
        await host.runtime.stop("machine", 20)
        return done

    host = new_host(user_namespaces=first, **settings)
    await host.runtime.prepare_host()
    assert (await built(host, "volume")).code == 0
    await host.volumes.save("volume")
    await host.runtime.release_host()

    host = new_host(user_namespaces=then, **settings)
    await host.runtime.prepare_host()
    # As an untrusted build has it: a copy to itself.
    await host.volumes.snapshot("volume", "copy")
    for volume_id in ("copy", "volume"):
        assert (await built(host, volume_id)).cached == _CACHED
    assert await host.volumes.restore("volume")
    assert (await built(host, "volume")).cached == _CACHED
    filling = _context(tmp_path / "filling", "RUN dd if=/dev/urandom of=/filling bs=1M count=200")
    filled = await built(host, "volume", filling)
    assert filled.code != 0
    assert "quota exceeded" in filled.text.lower(), filled.text
    await host.runtime.release_host()

    host = new_host(user_namespaces=first, **settings)
    await host.runtime.prepare_host()
    assert (await built(host, "copy")).cached == _CACHED
    # The full one may have lost some of its cache to BuildKit's policy.
    assert (await built(host, "volume")).code == 0


async def test_a_host_that_can_not_says_so_and_goes_on_or_refuses(
    new_host: Callable[..., MachineHost], tmp_path: Path
) -> None:
    # A file system without idmapped mounts.
    data = tmp_path / "data"
    data.mkdir()
    run("mount", "-t", "ramfs", "ramfs", str(data))
    try:
        host = new_host(data=data, volume_store=StoreKind.DIRECTORY, user_namespaces=UserNamespaces.AUTO)
        warnings = await host.runtime.prepare_host()
        assert any("no user namespaces of their own" in line and "ext4, xfs or btrfs" in line for line in warnings)
        machine = await host.start_ready()
        assert machine.placement.isolation == Isolation.HOST_ROOT
        await host.runtime.release_host()
        strict = new_host(data=data, volume_store=StoreKind.DIRECTORY, user_namespaces=UserNamespaces.REQUIRE)
        with pytest.raises(HostUnfit, match="user_namespaces is require"):
            await strict.runtime.prepare_host()
        await strict.runtime.release_host()
    finally:
        run("umount", str(data))
