"""The same buildkitd as a machine's, started by hand on a copy of its volume: what machines are measured against."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import subprocess
import tomllib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import tomli_w

from bench.stack import BenchmarkFailed, BuildKitAddress, Stack, machine_of
from stoker.buildkit.control import wait_until_ready
from stoker.client.api import Api
from stoker.domain.machines import Placement
from stoker.runtimes.process.engine.engine_files import MachineFolder
from stoker.runtimes.process.network.cni_files import find_cni_plugins
from tests.harness.waiting import eventually

BY_HAND = "buildkitd by hand"
BY_HAND_NETWORKED = "buildkitd by hand, steps on a bridge"
_BRIDGE = "stkbyhand"
_BRIDGE_SUBNET = "198.18.77.0/24"  # set aside for benchmarks (RFC 2544)
_HOST = "127.0.0.1"
_TLS = ("ca", "cert", "key")
_READY_SECONDS = 30.0
_STOP_SECONDS = 15.0
_OF_THE_MACHINE = frozenset({"binary", "cniConfigPath", "cniBinaryPath", "defaultCgroupParent", "platforms"})


async def ready(address: BuildKitAddress) -> None:
    async with asyncio.timeout(_READY_SECONDS):
        await wait_until_ready(Placement(address.host, address.port), address.server_name, address.credentials)


def wait_stopped(stack: Stack) -> None:
    eventually(lambda: machine_of(stack).state == "stopped", "the machine stops", _STOP_SECONDS)


@dataclass(frozen=True, slots=True)
class ByHand:
    """A buildkitd with the machine's configuration on a copy of its volume.

    Attributes:
        networked: a configuration with which steps have networks of their own on a bridge, as they have in machines.
    """

    buildkitd: Path
    config: Path
    networked: Path
    log: Path
    address: BuildKitAddress

    @asynccontextmanager
    async def running(self, *, networked: bool = False) -> AsyncGenerator[BuildKitAddress]:
        """Start it, and stop it as a machine is stopped: so that it writes its databases."""
        config = self.networked if networked else self.config
        with self.log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                self.buildkitd, "--config", config, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            yield self.address
        finally:
            process.terminate()
            try:
                async with asyncio.timeout(_STOP_SECONDS):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()


async def copy_of_machine(stack: Stack, api: Api) -> ByHand:
    """Copy the configuration and the certificate of the machine while it runs, and its volume once it is stopped."""
    folder = stack.folder / "by-hand"
    folder.mkdir(mode=0o700)
    build = await api.create_build(stack.server.project)
    await api.endpoint(build, stack.platform)
    machine = machine_of(stack)
    if machine.address is None:
        raise BenchmarkFailed("the machine does not run")
    config = tomllib.loads((machine.folder / "buildkitd.toml").read_text())
    for name in _TLS:
        given = Path(config["grpc"]["tls"][name])
        # In a user namespace, the machine has copies in its folder, which it sees elsewhere.
        shutil.copy(given if given.exists() else MachineFolder(machine.folder).tls.path / given.name, folder / name)
    await api.finish_build(build, None)
    await asyncio.to_thread(wait_stopped, stack)
    await asyncio.to_thread(_copy, machine.volume, folder / "volume")
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        address = replace(machine.address, host=_HOST, port=int(probe.getsockname()[1]))
    moved = _moved(config, folder, address)
    (folder / "buildkitd.toml").write_text(tomli_w.dumps(moved))
    (folder / "networked.toml").write_text(tomli_w.dumps(_networked(moved, folder)))
    return ByHand(stack.engine.buildkitd, folder / "buildkitd.toml", folder / "networked.toml", folder / "log", address)


def delete_bridge() -> None:
    """Delete what CNI made for the buildkitd by hand; nothing where that never ran."""
    subprocess.run(["ip", "link", "delete", _BRIDGE], check=False, capture_output=True)


def _copy(volume: Path, target: Path) -> None:
    # Not shutil: layers hold device files.
    subprocess.run(["cp", "--archive", volume, target], check=True)


def _moved(config: dict[str, Any], folder: Path, address: BuildKitAddress) -> dict[str, Any]:
    """The machine's configuration without what belongs to that machine: its network, cgroups and container state.

    Without its platform too: by hand, nobody tells BuildKit what it runs on.
    """
    tls = config["grpc"]["tls"] | {name: str(folder / name) for name in _TLS}
    kept = {name: value for name, value in config["worker"]["oci"].items() if name not in _OF_THE_MACHINE}
    return config | {
        "root": str(folder / "volume"),
        "grpc": {"address": [f"tcp://{address.host}:{address.port}"], "tls": tls},
        "otel": {"socketPath": str(folder / "otel.sock")},
        "worker": {"oci": kept | {"networkMode": "host"}, "containerd": {"enabled": False}},
    }


def _networked(moved: dict[str, Any], folder: Path) -> dict[str, Any]:
    """With a bridge that CNI's own plugin makes; there are no rules that keep steps from anything."""
    ipam = {"type": "host-local", "dataDir": str(folder / "addresses"), "ranges": [[{"subnet": _BRIDGE_SUBNET}]]}
    plugin = {"type": "bridge", "bridge": _BRIDGE, "isGateway": True, "ipam": ipam}
    network = folder / "bridge.conflist"
    network.write_text(json.dumps({"cniVersion": "1.0.0", "name": "by-hand", "plugins": [plugin]}))
    paths = {"cniConfigPath": str(network), "cniBinaryPath": str(find_cni_plugins())}
    worker = moved["worker"]["oci"] | {"networkMode": "cni", **paths}
    return moved | {"worker": moved["worker"] | {"oci": worker}}
