"""What the process runtime's machines are: real engines, contained, and gone without a trace when they end."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from stoker.domain.platforms import Platform
from stoker.runtimes.contract import Observed
from stoker.runtimes.errors import MachineStartFailed
from stoker.runtimes.process.config import ProcessRuntimeConfig, StoreKind
from stoker.runtimes.process.engine.emulation import native_platform
from stoker.runtimes.process.network.bridges import bridge_name
from stoker.runtimes.process.process_site import ProcessSite
from tests.contract.machine_host import (
    GRACE_SECONDS,
    READY_SECONDS,
    Certificates,
    Internet,
    Machine,
    MachineHost,
    engine_process,
    internet,
    kill_and_wait,
    machine_processes,
    nothing_left,
    run,
    traces,
    write_context,
)
from tests.harness.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from stoker.runtimes.contract import MachineSpec

STEP_IS_RUNNING = r"^#\d+ [\d.]+ step is running$"
CACHED_STEPS = 3  # two COPYs and a RUN


@pytest.fixture
def net() -> Iterator[Internet]:
    with internet() as made:
        yield made


@pytest.fixture(scope="session")
def emulated() -> Platform:
    return next(platform for platform in Platform if platform is not native_platform())


async def test_it_serves_callers_with_its_certificates_and_no_others(host: MachineHost, tmp_path: Path) -> None:
    machine = await host.start_ready()
    assert native_platform() in (await machine.call("debug", "workers")).text
    assert (await machine.call("debug", "workers", client=None)).code != 0
    stranger = Certificates.issue(tmp_path / "stranger")
    for kind in ("pem", "key"):
        (host.certificates.folder / f"stranger.{kind}").write_bytes((stranger.folder / f"client.{kind}").read_bytes())
    assert (await machine.call("debug", "workers", client="stranger")).code != 0


async def test_a_build_runs_contained_and_stop_leaves_nothing(host: MachineHost, tmp_path: Path) -> None:
    before = traces(host.config)
    machine = await host.start_ready()
    built = await machine.build(write_context(tmp_path / "context", "touch /made"))
    assert built.code == 0, built.text
    endless = write_context(tmp_path / "endless", "echo step is running && sleep 1000")
    async with machine.building(endless, STEP_IS_RUNNING):
        commands = machine_processes(host.config.server_id, "machine").values()
        assert any("sleep 1000" in command for command in commands), commands
    (folder,) = (host.config.data / "machines").iterdir()
    assert folder.stat().st_mode & 0o077 == 0
    await host.runtime.stop("machine", GRACE_SECONDS)
    await nothing_left(host.config, before)
    assert "stopping server" in (host.config.data / "logs" / "machines" / "machine.log").read_text()


async def test_the_volume_keeps_the_cache(host: MachineHost, tmp_path: Path) -> None:
    context = write_context(tmp_path / "context", "touch /made")
    first = await (await host.start_ready("one")).build(context)
    assert (first.code, first.cached) == (0, 0), first.text
    await host.runtime.stop("one", GRACE_SECONDS)
    again = await (await host.start_ready("one")).build(context)
    assert (again.code, again.cached) == (0, CACHED_STEPS), again.text
    other = await (await host.start_ready("two", "another-volume")).build(context)
    assert (other.code, other.cached) == (0, 0), other.text


@pytest.mark.parametrize("killed", ["outer", "first", "engine"])
async def test_a_hard_kill_in_a_step_is_noticed_and_cleaned_up(host: MachineHost, tmp_path: Path, killed: str) -> None:
    before = traces(host.config)
    machine = await host.start_ready()
    done = write_context(tmp_path / "done", "touch /made")
    assert (await machine.build(done)).code == 0
    await host.runtime.stop("machine", GRACE_SECONDS)
    machine = await host.start_ready()
    endless = write_context(tmp_path / "endless", "echo step is running && while true; do sleep 1000 & wait; done")
    async with machine.building(endless, STEP_IS_RUNNING):
        engine = engine_process(host, "machine")
        pids = {
            "outer": machine.process_id,
            "first": int(re.findall(r"PPid:\s+(\d+)", Path(f"/proc/{engine}/status").read_text())[0]),
            "engine": engine,
        }
        await kill_and_wait(host, machine, pids[killed])
    assert await host.runtime.observe("machine", machine.placement) is Observed.ABSENT
    await host.runtime.stop("machine", GRACE_SECONDS)
    await nothing_left(host.config, before)
    again = await (await host.start_ready()).build(done)
    assert (again.code, again.cached) == (0, CACHED_STEPS), again.text


async def test_stop_without_grace_in_a_step_leaves_nothing(host: MachineHost, tmp_path: Path) -> None:
    before = traces(host.config)
    machine = await host.start_ready()
    # A step that keeps forking and takes no signal.
    stubborn = "trap '' TERM INT HUP; echo step is running; while true; do sleep 0.01 & sleep 0.01; done"
    async with machine.building(write_context(tmp_path / "context", stubborn), STEP_IS_RUNNING):
        await host.runtime.stop("machine", 0)
    await nothing_left(host.config, before)


async def test_a_stop_during_a_step_ends_when_the_grace_does(host: MachineHost, tmp_path: Path) -> None:
    before = traces(host.config)
    machine = await host.start_ready()
    context = write_context(tmp_path / "context", "echo step is running; sleep 1000")
    async with machine.building(context, STEP_IS_RUNNING):
        await asyncio.wait_for(host.runtime.stop("machine", 1.0), READY_SECONDS)
    await nothing_left(host.config, before)


async def test_an_ended_machine_is_no_zombie_of_ours(host: MachineHost) -> None:
    machine = await host.start_ready()
    await kill_and_wait(host, machine, machine.process_id)
    assert not Path(f"/proc/{machine.process_id}").exists()


async def test_another_process_with_the_same_id_is_not_the_machine(host: MachineHost) -> None:
    machine = await host.start_ready()
    placement = machine.placement
    started = str(int(placement.remembered["process_started"]) - 1)
    older = replace(placement, remembered={**placement.remembered, "process_started": started})
    assert await host.runtime.observe("machine", older) is Observed.ABSENT
    await asyncio.wait_for(host.runtime.wait_exit("machine", older), READY_SECONDS)
    assert await host.runtime.observe("machine", placement) is Observed.RUNNING


async def test_two_machines_at_once_have_networks_of_their_own(host: MachineHost, tmp_path: Path) -> None:
    context = write_context(tmp_path / "context", "echo subnet $(ip -4 route | grep src | cut -d' ' -f1)")
    machines = await asyncio.gather(host.start_ready("one", "volume-1"), host.start_ready("two", "volume-2"))
    subnets = [re.findall(r"subnet (\S+/\d+)", (await machine.build(context)).text)[-1] for machine in machines]
    assert not IPv4Network(subnets[0]).overlaps(IPv4Network(subnets[1]))


async def test_two_servers_do_not_meet(new_host: Callable[..., MachineHost], tmp_path: Path) -> None:
    context = write_context(tmp_path / "context", "echo subnet $(ip -4 route | grep src | cut -d' ' -f1)")
    hosts = [new_host(), new_host()]
    for server in hosts:
        await server.runtime.prepare_host()
    machines = await asyncio.gather(*(server.start_ready() for server in hosts))
    subnets = [re.findall(r"subnet (\S+/\d+)", (await machine.build(context)).text)[-1] for machine in machines]
    assert subnets[0] != subnets[1]
    await hosts[0].runtime.release_host()
    assert await hosts[1].runtime.observe("machine", machines[1].placement) is Observed.RUNNING
    assert (await machines[1].build(context, "--no-cache")).code == 0


def reach(name: str, address: str, port: int = 80) -> str:
    """A step that says whether a web server answers."""
    ask = f"echo GET / | nc -w 3 {address} {port}"
    return f"if {ask} | grep -q hello; then echo {name} reached; else echo {name} refused; fi"


async def verdicts(machine: Machine, folder: Path, targets: dict[str, tuple[str, int]]) -> dict[str, bool]:
    steps = [reach(name, *target) for name, target in targets.items()]
    built = await machine.build(write_context(folder, "\\\n ; ".join(steps)), "--no-cache")
    assert built.code == 0, built.text
    said = dict(re.findall(r"^#\d+ [\d.]+ (\S+) (reached|refused)$", built.text, re.MULTILINE))
    assert said.keys() == targets.keys(), built.text
    return {name: word == "reached" for name, word in said.items()}


async def test_steps_have_no_ipv6_where_it_is_not_wanted(new_host: Callable[..., MachineHost], tmp_path: Path) -> None:
    host = new_host(ipv6=False)
    await host.runtime.prepare_host()
    machine = await host.start_ready()
    name = bridge_name(host.config.server_id, "machine")
    built = await machine.build(write_context(tmp_path / "context", "ip -6 addr show scope global; ip -6 route"))
    assert "default" not in "".join(re.findall(r"^#\d+ [\d.]+ .*$", built.text, re.MULTILINE)), built.text
    assert Path(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6").read_text().strip() == "1"


async def test_flushed_rules_are_repaired_with_the_machines_that_run(
    new_host: Callable[..., MachineHost], net: Internet, tmp_path: Path
) -> None:
    host = new_host()
    await host.runtime.prepare_host()
    machine = await host.start_ready()
    run("nft", "delete", "table", "inet", f"stoker_{host.config.server_id}")
    await host.runtime.prepare_host()
    targets = {"internet": (net.public, 80), "private": (net.private[0], 80)}
    assert await verdicts(machine, tmp_path / "context", targets) == {"internet": True, "private": False}


async def test_an_emulated_step_runs(host: MachineHost, emulated: Platform, tmp_path: Path) -> None:
    assert emulated in host.site.platforms, "install qemu-user-static"
    machine = await host.start_ready(platform=emulated)
    # The first is what a build without a platform of its own gets.
    assert re.search(rf"\t{emulated}(,|$)", (await machine.call("debug", "workers")).text, re.MULTILINE)
    built = await machine.build(write_context(tmp_path / "context", "echo this is $(uname -m)", platform=emulated))
    assert built.code == 0, built.text
    assert re.search(r"this is (aarch64|x86_64)$", built.text, re.MULTILINE), built.text


async def test_a_start_that_fails_half_way_is_cleaned_up_by_stop(host: MachineHost) -> None:
    before = traces(host.config)
    broken = ProcessSite(
        type(host.config)(
            server_id=host.config.server_id,
            data=host.config.data,
            buildkitd=host.config.data / "missing",
            network_pool=IPv4Network("127.0.0.0/24"),
        )
    ).runtime
    with pytest.raises(MachineStartFailed, match="network_pool"):
        await anext(aiter(broken.start(host.spec("machine"))))
    await broken.stop("machine", 0)
    await nothing_left(host.config, before)


async def test_an_engine_never_has_steps_without_a_network_when_its_server_dies_meanwhile(
    host: MachineHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = traces(host.config)
    os.mkfifo(tmp_path / "never")
    (tmp_path / "nft").write_text(f"#!/bin/sh\n: >'{tmp_path}/called'; exec cat '{tmp_path}/never'\n")
    (tmp_path / "nft").chmod(0o755)
    with monkeypatch.context() as only_there:
        only_there.setenv("PATH", str(tmp_path), prepend=":")
        server = multiprocessing.get_context("spawn").Process(target=_start, args=(host.config, host.spec("machine")))
        server.start()
    try:
        called = tmp_path / "called"
        eventually(lambda: called.exists() and _has_engine(host), "the engine waits for its network", READY_SECONDS)
        server.kill()
        eventually(lambda: not machine_processes(host.config.server_id, "machine"), "the engine ends", READY_SECONDS)
    finally:
        server.kill()
        (tmp_path / "never").open("w").close()
    await host.runtime.stop("machine", 0)
    await nothing_left(host.config, before)


def _start(config: ProcessRuntimeConfig, spec: MachineSpec) -> None:
    """What a server does that starts a machine."""

    async def start() -> None:
        runtime = ProcessSite(config).runtime
        await anext(aiter(runtime.start(spec)))

    asyncio.run(start())


def _has_engine(host: MachineHost) -> bool:
    commands = machine_processes(host.config.server_id, "machine").values()
    return any(command.startswith(str(host.config.buildkitd)) for command in commands)


async def test_an_engine_that_ends_at_once_is_noticed_and_its_log_is_kept(host: MachineHost) -> None:
    before = traces(host.config)
    config = type(host.config)(
        server_id=host.config.server_id, data=host.config.data, buildkitd=host.config.data / "missing"
    )
    runtime = ProcessSite(config).runtime
    placement = await anext(aiter(runtime.start(host.spec("machine"))))
    await asyncio.wait_for(runtime.wait_exit("machine", placement), READY_SECONDS)
    await runtime.stop("machine", GRACE_SECONDS)
    await nothing_left(host.config, before)
    assert "missing" in (host.config.data / "logs" / "machines" / "machine.log").read_text()


async def test_release_removes_running_machines_and_all_that_is_shared(
    new_host: Callable[..., MachineHost], tmp_path: Path
) -> None:
    host = new_host()
    before = traces(host.config)
    await host.runtime.release_host()
    await host.runtime.prepare_host()
    await host.runtime.prepare_host()
    machines = await asyncio.gather(*(host.start_ready(f"m{number}", f"v{number}") for number in range(2)))
    context = write_context(tmp_path / "context", "echo step is running; sleep 1000")
    async with machines[0].building(context, STEP_IS_RUNNING):
        await host.runtime.release_host()
    await nothing_left(host.config, before)
    await host.runtime.prepare_host()
    assert (await host.runtime.list_owned()).volumes == {"v0", "v1"}


@pytest.mark.parametrize("kind", [StoreKind.AUTO, StoreKind.DIRECTORY])
async def test_a_volume_with_immutable_files_mounts_and_deep_folders_is_deleted(
    new_host: Callable[..., MachineHost], kind: StoreKind
) -> None:
    host = new_host(volume_store=kind)
    await host.runtime.prepare_host()
    machine = await host.start_ready()
    await host.runtime.stop(machine.spec.machine_id, GRACE_SECONDS)
    volume = host.config.data / "volumes" / "volume"
    (volume / "immutable").write_text("x")
    run("chattr", "+i", str(volume / "immutable"))
    mounted = volume / "a mount"
    mounted.mkdir()
    run("mount", "-t", "tmpfs", "tmpfs", str(mounted))
    script = "import os, sys; os.chdir(sys.argv[1])\nfor _ in range(3000): os.mkdir('d'); os.chdir('d')"
    run(sys.executable, "-c", script, str(volume))
    await host.volumes.delete("volume")
    assert not volume.exists()
    assert str(mounted) not in Path("/proc/self/mountinfo").read_text()
    assert not (await host.runtime.list_owned()).volumes


async def test_a_volume_deleted_half_way_is_still_owned(new_host: Callable[..., MachineHost]) -> None:
    host = new_host(volume_store=StoreKind.DIRECTORY)
    half = host.config.data / "volumes" / ".deleting" / "gone"
    half.mkdir(parents=True)
    assert (await host.runtime.list_owned()).volumes == {"gone"}
    await host.volumes.delete("gone")
    assert not (await host.runtime.list_owned()).volumes


@pytest.mark.bound("max_log_bytes")
async def test_logs_of_running_machines_are_bounded(new_host: Callable[..., MachineHost]) -> None:
    host = new_host(log_bytes=1000)
    await host.runtime.prepare_host()
    machine = await host.start_ready()
    log = host.config.data / "machines" / "machine" / "machine.log"
    with log.open("a") as stream:
        stream.write("x" * 5000)
    await host.runtime.trim_logs()
    assert log.stat().st_size <= 1000
    os.kill(engine_process(host, "machine"), signal.SIGTERM)
    await asyncio.wait_for(host.runtime.wait_exit("machine", machine.placement), READY_SECONDS)
    # The writer went on at the new end.
    assert "stopping server" in log.read_text()
    assert "\0" not in log.read_text()


async def test_it_is_the_same_where_cgroups_are_unified() -> None:
    """Run the tests that depend on cgroups again, in a mount namespace where there is cgroup v2 alone."""
    chosen = "(test_runtime_contract and process) or hard_kill or contained or without_grace"
    files = [__file__, str(Path(__file__).with_name("test_runtime_contract.py"))]
    tests = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", chosen, *files]
    hide = 'mount -t cgroup2 cgroup2 /sys/fs/cgroup && exec "$@"'
    process = await asyncio.create_subprocess_exec(
        "unshare", "--mount", "sh", "-c", hide, "sh", *tests, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    assert re.search(rb"\d\d passed", output), output.decode()


async def test_it_is_the_same_where_etc_can_not_be_written(tmp_path: Path) -> None:
    """Where a machine can't see its folder as BuildKit's own, it is given its configuration all the same."""
    tests = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "runs_contained", __file__]
    layers = f"lowerdir=/etc,upperdir={tmp_path}/upper,workdir={tmp_path}/work"
    read_only = (
        f"mount -t tmpfs tmpfs {tmp_path} && mkdir {tmp_path}/upper {tmp_path}/work && "
        f"mount -t overlay overlay -o {layers} /etc && rm -rf /etc/buildkit && mount -o remount,ro /etc && "
        '! mkdir /etc/buildkit 2>/dev/null && exec "$@"'
    )
    process = await asyncio.create_subprocess_exec(
        "unshare", "--mount", "sh", "-c", read_only, "sh", *tests, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    assert b"1 passed" in output, output.decode()


async def test_a_configuration_of_the_hosts_own_buildkit_does_not_get_in(host: MachineHost, tmp_path: Path) -> None:
    folder = Path("/etc/buildkit")
    folder.mkdir(exist_ok=True)
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "buildkitd.toml").write_text("this = is no configuration [")
    run("mount", "--bind", str(theirs), str(folder))
    try:
        machine = await host.start_ready()
        built = await machine.build(write_context(tmp_path / "context", "touch /made"))
    finally:
        run("umount", str(folder))
    assert built.code == 0, built.text


async def test_a_terminals_interrupt_does_not_reach_the_machine(host: MachineHost) -> None:
    await host.start_ready()
    pids = machine_processes(host.config.server_id, "machine")
    assert len(pids) >= 3
    assert not {os.getpgid(pid) for pid in pids} & {os.getpgid(0)}
    assert {os.getsid(pid) for pid in pids} != {os.getsid(0)}
