"""How the process runtime keeps volumes: on a btrfs of its own, capped, copied in an instant, never left mounted."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from stoker.domain.cache_policy import CachePolicy
from stoker.runtimes.contract import Owned
from stoker.runtimes.errors import HostUnfit, SnapshotsUnsupported, VolumeFailed
from stoker.runtimes.process.config import StoreKind
from stoker.runtimes.process.process_site import ProcessSite
from tests.contract.machine_host import (
    GRACE_SECONDS,
    MachineHost,
    loop_devices,
    nothing_left,
    run,
    traces,
    write_context,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    NewHost = Callable[..., MachineHost]

MEGABYTE = 1000**2
IMAGE_BYTES = 512 * 1024**2
CACHED_STEPS = 3


def image_of(host: MachineHost) -> Path:
    return host.config.data / "volumes.btrfs"


def folder_of(host: MachineHost) -> Path:
    return host.config.data / "volumes"


def fill(folder: Path, size: int) -> None:
    """Write a file that nothing can compress or share."""
    with (folder / "filling").open("wb") as file:
        file.write(os.urandom(size))
        os.fsync(file.fileno())


def fill_up(folder: Path) -> None:
    """Write until there is no room any more."""

    def write_for_ever() -> None:
        with (folder / "filling").open("wb") as file:
            while True:
                file.write(os.urandom(MEGABYTE))
                os.fsync(file.fileno())

    with pytest.raises(OSError, match="quota exceeded"):
        write_for_ever()


async def built_and_stopped(host: MachineHost, context: Path) -> None:
    built = await (await host.start_ready()).build(context)
    assert built.code == 0, built.text
    assert await host.runtime.stop("machine", GRACE_SECONDS), "it ended by itself"


@pytest.fixture
def other_btrfs(tmp_path: Path) -> Iterator[Path]:
    """A btrfs that somebody mounted."""
    image, folder = tmp_path / "other.img", tmp_path / "other"
    folder.mkdir()
    with image.open("wb") as file:
        file.truncate(IMAGE_BYTES)
    run("mkfs.btrfs", "-q", str(image))
    run("mount", "-o", "loop", str(image), str(folder))
    yield folder
    run("umount", str(folder))


async def test_the_image_is_mounted_once_and_gone_with_the_server(new_host: NewHost) -> None:
    host = new_host()
    before = traces(host.config)
    assert await host.runtime.prepare_host() == ()
    assert loop_devices().count(str(image_of(host))) == 1
    (folder_of(host) / "a").mkdir()
    again = ProcessSite(host.config)
    await again.runtime.prepare_host()
    assert loop_devices().count(str(image_of(host))) == 1
    await again.runtime.release_host()
    await nothing_left(host.config, before)
    await host.runtime.prepare_host()
    assert (folder_of(host) / "a").is_dir()


async def test_a_mount_that_is_used_stays_and_is_taken_over(new_host: NewHost) -> None:
    host = new_host()
    await host.runtime.prepare_host()
    with (folder_of(host) / "used").open("w"):
        await host.runtime.release_host()
        assert loop_devices().count(str(image_of(host))) == 1
        await host.runtime.prepare_host()
        assert loop_devices().count(str(image_of(host))) == 1


async def test_what_a_kill_left_half_done_is_repaired(new_host: NewHost) -> None:
    host = new_host(volume_image_bytes=IMAGE_BYTES)
    before = traces(host.config)
    folder_of(host).mkdir(parents=True)
    image_of(host).with_name("volumes.btrfs.new").write_bytes(b"half an image")
    run("mount", "--bind", str(folder_of(host)), str(folder_of(host)))
    assert await host.runtime.prepare_host() == ()
    assert loop_devices().count(str(image_of(host))) == 1
    await host.runtime.release_host()
    await nothing_left(host.config, before)


async def test_another_namespaces_copy_of_the_mount_does_not_keep_the_loop_device(new_host: NewHost) -> None:
    host, neighbour = new_host(), new_host()
    before = traces(host.config)
    await host.runtime.prepare_host()
    await neighbour.runtime.prepare_host()
    await neighbour.start_ready()
    await host.runtime.release_host()
    await nothing_left(host.config, before)


async def test_an_image_grows_with_its_setting_and_is_never_made_smaller(new_host: NewHost) -> None:
    host = new_host(volume_image_bytes=IMAGE_BYTES)
    await host.runtime.prepare_host()
    assert shutil.disk_usage(folder_of(host)).total == IMAGE_BYTES
    for wanted, is_now in ((2 * IMAGE_BYTES, 2 * IMAGE_BYTES), (IMAGE_BYTES, 2 * IMAGE_BYTES)):
        config = type(host.config)(
            server_id=host.config.server_id,
            data=host.config.data,
            buildkitd=host.config.buildkitd,
            volume_image_bytes=wanted,
        )
        await ProcessSite(config).runtime.prepare_host()
        assert shutil.disk_usage(folder_of(host)).total == is_now


async def test_a_volume_can_not_grow_over_its_cap_and_leaves_its_neighbour_alone(
    new_host: NewHost, tmp_path: Path
) -> None:
    host = new_host(volume_headroom_bytes=80 * MEGABYTE)
    await host.runtime.prepare_host()
    policy = CachePolicy(keep_bytes=20 * MEGABYTE)
    greedy = await host.wait_ready(await host.start(host.spec("machine", "volume", cache_policy=policy)))
    filling = write_context(tmp_path / "filling", "dd if=/dev/urandom of=/filling bs=1M count=200")
    filled = await greedy.build(filling)
    assert filled.code != 0
    assert "quota exceeded" in filled.text.lower(), filled.text
    modest = write_context(tmp_path / "modest", "head -c 1000000 /dev/urandom >/made")
    neighbour = await host.wait_ready(await host.start(host.spec("neighbour", "other", cache_policy=policy)))
    assert (await neighbour.build(modest)).code == 0
    # What the failed step wrote, BuildKit drops at a time of its own.
    fill_up(folder_of(host) / "volume")
    assert await host.volumes.settle("volume", policy, fresh=True), "it is nearly full"
    assert not await host.volumes.settle("other", policy, fresh=True)
    # The trap: at its cap BuildKit could not even write its databases, so the next start is given headroom anew.
    await host.runtime.stop("machine", GRACE_SECONDS)
    fill_up(folder_of(host) / "volume")
    healed = await host.wait_ready(await host.start(host.spec("machine", "volume", cache_policy=policy)))
    built = await healed.build(modest)
    assert built.code == 0, built.text


async def test_a_snapshot_of_a_volume_in_use_has_its_whole_cache_and_goes_its_own_way(
    host: MachineHost, tmp_path: Path
) -> None:
    context = write_context(tmp_path / "context", "touch /made")
    machine = await host.start_ready()
    assert (await machine.build(context)).code == 0
    await host.volumes.snapshot("volume", "copy")
    built = await (await host.start_ready("throw-away", "copy")).build(context)
    assert (built.code, built.cached) == (0, CACHED_STEPS), built.text
    await host.runtime.stop("throw-away", 0)
    await host.volumes.delete("copy")
    assert (await host.runtime.list_owned()).volumes == {"volume"}
    assert (await machine.build(context)).cached == CACHED_STEPS
    with pytest.raises(VolumeFailed):
        await host.volumes.snapshot("none", "copy")


async def test_a_damaged_volume_is_set_aside_for_its_last_good_snapshot(host: MachineHost, tmp_path: Path) -> None:
    context = write_context(tmp_path / "context", "touch /made")
    await built_and_stopped(host, context)
    await host.volumes.save("volume")
    for databases in ("containerdmeta.db", "metadata_v2.db"):
        (broken,) = (folder_of(host) / "volume").rglob(databases)
        broken.write_bytes(os.urandom(32768))
        machine = await host.start(host.spec("machine"))
        await host.runtime.wait_exit("machine", machine.placement)
        damage = (await host.runtime.why_ended("machine")).damage
        assert damage is not None
        assert "invalid database" in damage
        await host.runtime.stop("machine", 0)
        assert await host.volumes.restore("volume")
        again = await (await host.start_ready()).build(context)
        assert (again.code, again.cached) == (0, CACHED_STEPS), again.text
        assert await host.runtime.stop("machine", GRACE_SECONDS)
        await host.volumes.save("volume")
    assert await host.volumes.restore("volume")
    assert not await host.volumes.restore("volume"), "the snapshot is used up"
    fresh = await (await host.start_ready()).build(context)
    assert (fresh.code, fresh.cached) == (0, 0), fresh.text
    await host.runtime.stop("machine", 0)
    await host.volumes.delete("volume")
    assert not (await host.runtime.list_owned()).volumes, "what was set aside is gone too"


async def test_a_machine_that_runs_well_says_nothing_of_damage(host: MachineHost) -> None:
    await host.start_ready()
    assert (await host.runtime.why_ended("machine")).damage is None


async def test_subvolumes_that_builds_made_inside_go_with_the_volume(host: MachineHost) -> None:
    await host.start_ready()
    await host.runtime.stop("machine", GRACE_SECONDS)
    inside = folder_of(host) / "volume"
    for name in ("one", "two\nvolume/three", "four"):
        inside = inside / name
        inside.parent.mkdir(parents=True, exist_ok=True)
        run("btrfs", "subvolume", "create", str(inside))
    await host.volumes.delete("volume")
    assert not (await host.runtime.list_owned()).volumes


def add_program(context: Path, program: str) -> None:
    """Put a program of this host with its libraries into a context, where it finds them."""
    found = shutil.which(program)
    assert found is not None
    for path in [found, *re.findall(r"(/\S+) \(0x", run("ldd", found))]:
        target = context / "root" / path.removeprefix("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    with (context / "Dockerfile").open("a") as file:
        file.write("COPY root /\n")


async def test_steps_can_not_make_subvolumes_which_would_escape_the_cap(host: MachineHost, tmp_path: Path) -> None:
    machine = await host.start_ready()
    context = write_context(tmp_path / "context")
    for program in ("btrfs", "cp"):
        add_program(context, program)
    with (context / "Dockerfile").open("a") as file:
        file.write("ENV PATH=/usr/bin:/bin:/usr/sbin:/sbin\n")
        file.write("RUN --mount=type=cache,target=/cache touch /cache/a && cp --reflink=always /cache/a /cache/b\n")
        file.write("RUN --mount=type=cache,target=/cache btrfs subvolume create /cache/inside\n")
    built = await machine.build(context)
    assert built.code != 0
    assert "create subvolume: Operation not permitted" in built.text, built.text


async def test_a_host_without_images_gets_directories_and_is_told_what_is_lost(new_host: NewHost) -> None:
    host = new_host(volume_image_bytes=2**60)  # larger than any file can be
    before = traces(host.config)
    (told,) = await host.runtime.prepare_host()
    assert "volumes are directories" in told
    assert "no hard cap and no snapshots" in told
    await host.start_ready()
    with pytest.raises(SnapshotsUnsupported, match="volume_store"):
        await host.volumes.snapshot("volume", "copy")
    assert await host.runtime.stop("machine", GRACE_SECONDS)
    await host.volumes.save("volume")
    assert not await host.volumes.restore("volume")
    await host.volumes.delete("volume")
    assert not (await host.runtime.list_owned()).volumes
    await host.runtime.release_host()
    await nothing_left(host.config, before)


async def test_directories_that_are_there_already_are_kept(new_host: NewHost, tmp_path: Path) -> None:
    context = write_context(tmp_path / "context", "touch /made")
    old = new_host(volume_store=StoreKind.DIRECTORY)
    assert await old.runtime.prepare_host() == ()
    await built_and_stopped(old, context)
    config = type(old.config)(server_id=old.config.server_id, data=old.config.data, buildkitd=old.config.buildkitd)
    host = MachineHost(ProcessSite(config), config, old.certificates, old.engine)
    (told,) = await host.runtime.prepare_host()
    assert "no hard cap" in told
    assert (await (await host.start_ready()).build(context)).cached == CACHED_STEPS


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (StoreKind.AUTO, StoreKind.DIRECTORY),
        (StoreKind.AUTO, StoreKind.BTRFS),
        (StoreKind.DIRECTORY, StoreKind.IMAGE),
        (StoreKind.DIRECTORY, StoreKind.BTRFS),
    ],
)
async def test_a_setting_that_would_hide_caches_is_refused(
    new_host: NewHost, first: StoreKind, then: StoreKind
) -> None:
    host = new_host(volume_store=first)
    await host.runtime.prepare_host()
    await host.start_ready()
    await host.runtime.release_host()
    config = type(host.config)(
        server_id=host.config.server_id, data=host.config.data, buildkitd=host.config.buildkitd, volume_store=then
    )
    with pytest.raises(HostUnfit, match=r"volume_store is .*and the caches with"):
        await ProcessSite(config).runtime.prepare_host()


async def test_a_mounted_btrfs_is_used_when_the_setting_says_so(
    new_host: NewHost, other_btrfs: Path, tmp_path: Path
) -> None:
    host = new_host(volume_store=StoreKind.BTRFS, volume_headroom_bytes=50 * MEGABYTE)
    with pytest.raises(HostUnfit, match="volume_store is btrfs"):
        await host.runtime.prepare_host()
    folder_of(host).rmdir()
    folder_of(host).symlink_to(other_btrfs)
    assert await host.runtime.prepare_host() == ()
    context = write_context(tmp_path / "context", "touch /made")
    await built_and_stopped(host, context)
    assert run("btrfs", "subvolume", "list", str(other_btrfs)).endswith("path volume\n")
    await host.volumes.snapshot("volume", "copy")
    await host.volumes.delete("volume")
    assert (await (await host.start_ready(volume_id="copy")).build(context)).cached == CACHED_STEPS
    await host.runtime.release_host()
    assert other_btrfs.is_mount(), "it is not ours to unmount"


async def test_caches_are_never_taken_for_deleted_while_they_are_not_mounted(host: MachineHost) -> None:
    await host.start_ready()
    await host.runtime.release_host()
    with pytest.raises(VolumeFailed, match="not mounted"):
        await host.volumes.delete("volume")
    await host.runtime.prepare_host()
    assert (await host.runtime.list_owned()).volumes == {"volume"}


async def test_machines_are_found_while_the_store_can_not_be_read(host: MachineHost) -> None:
    await host.start_ready()
    # The folder of a process that has ended: it is there, and can't be listed.
    ended = await asyncio.create_subprocess_exec("sleep", "60")
    run("mount", "--bind", f"/proc/{ended.pid}/task", str(folder_of(host)))
    try:
        ended.kill()
        await ended.wait()
        with pytest.raises(OSError, match="No such"):
            list(folder_of(host).iterdir())
        assert await host.runtime.list_owned() == Owned(frozenset({"machine"}), None)
        assert await host.runtime.stop("machine", GRACE_SECONDS), (
            "what uses the store can be stopped, so that it can heal"
        )
    finally:
        run("umount", str(folder_of(host)))
    assert await host.runtime.list_owned() == Owned(frozenset(), frozenset({"volume"}))


async def test_a_full_store_is_told_and_snapshots_make_way_for_builds(new_host: NewHost) -> None:
    host = new_host(volume_image_bytes=IMAGE_BYTES, min_free_percent=50)
    await host.runtime.prepare_host()
    await host.start_ready()
    await host.runtime.stop("machine", GRACE_SECONDS)
    assert host.site.shortage() is None
    volume = folder_of(host) / "volume"
    fill(volume, IMAGE_BYTES // 2)
    await host.volumes.save("volume")
    (volume / "filling").unlink()
    told = host.site.shortage()
    assert told is not None
    assert re.search(r"volume store has 0\.\d GB free, less than the 0\.3 GB that it keeps", told)
    await host.runtime.tend_volumes()
    run("btrfs", "subvolume", "sync", str(folder_of(host)))
    assert host.site.shortage() is None
    assert not await host.volumes.restore("volume"), "the snapshot was given up"


async def test_a_store_that_became_read_only_is_mounted_anew_when_nothing_uses_it(host: MachineHost) -> None:
    reading = folder_of(host) / "reading"
    reading.write_text("")
    run("mount", "-o", "remount,ro", str(folder_of(host)))
    told = host.site.shortage()
    assert told is not None
    assert "read-only" in told
    with reading.open():
        await host.runtime.tend_volumes()
        assert host.site.shortage() == told
    await host.runtime.tend_volumes()
    assert host.site.shortage() is None
    reading.write_text("works")
