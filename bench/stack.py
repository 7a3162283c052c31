"""What is measured: a server of the tests' harness, its machines, and ways around it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from stoker.buildkit.control import ControlCredentials
from stoker.cli.engine import require_engine
from stoker.domain.leases import Endpoint
from stoker.domain.machines import machine_server_name
from stoker.domain.platforms import Platform
from stoker.engine import Engine
from stoker.pki.private_files import write_private
from stoker.runtimes.process.engine.emulation import native_platform
from stoker.settings.loading import load_settings
from tests.harness.server import Server

COMMAND_SECONDS = 60.0
_TICKS = os.sysconf("SC_CLK_TCK")


class BenchmarkFailed(Exception):
    """What was to be measured did not do what it should, so its time means nothing."""


@dataclass(frozen=True, slots=True)
class Stack:
    """A server of its own, with the engine that it uses."""

    server: Server
    engine: Engine
    platform: Platform
    folder: Path


@dataclass(frozen=True, slots=True)
class BuildKitAddress:
    """Where a buildkitd is reached, the name it proves, and the files to prove one's own with.

    Attributes:
        enter: what a command begins with to be where the address can be reached.
    """

    host: str
    port: int
    server_name: str
    ca: Path
    certificate: Path
    key: Path
    enter: tuple[str, ...] = ()

    @property
    def credentials(self) -> ControlCredentials:
        return ControlCredentials(self.certificate.read_bytes(), self.key.read_bytes(), self.ca.read_bytes())

    def buildctl(self, buildctl: Path, *arguments: str) -> list[str]:
        connection = [f"--addr=tcp://{self.host}:{self.port}", f"--tlsservername={self.server_name}"]
        files = [f"--tlscacert={self.ca}", f"--tlscert={self.certificate}", f"--tlskey={self.key}"]
        return [*self.enter, str(buildctl), *connection, *files, *arguments]


@dataclass(frozen=True, slots=True)
class MachineRow:
    """The machine of the server's first project, as the database has it."""

    id: str
    state: str
    volume: Path
    folder: Path
    address: BuildKitAddress | None


@contextmanager
def running_stack(**settings: str) -> Generator[Stack]:
    """A server on a new data folder, stopped and removed at the end."""
    effective = load_settings({}, os.environ).values
    engine = require_engine(effective)
    with tempfile.TemporaryDirectory(prefix="stoker-bench-") as name:
        server = Server(Path(name) / "data", effective.server.cache, engine, settings=settings)
        try:
            yield Stack(server.start(), engine, native_platform(), Path(name))
        finally:
            server.stop()


def machine_of(stack: Stack) -> MachineRow:
    """Look at the only machine; its address is there while it runs."""
    data, pki = stack.server.data, stack.server.data / "pki"
    query = "select machines.id, machines.state, machines.run, machines.placement, volumes.id from machines"
    ((machine, state, run, placement, volume),) = stack.server.query(
        f"{query} join volumes on volumes.project_id = machines.project_id and volumes.state = 'active' "
        "where machines.build_id is null and volumes.build_id is null"
    )
    address = None
    if placement is not None:
        where = json.loads(placement)
        address = BuildKitAddress(
            host=str(where["host"]),
            port=int(where["port"]),
            server_name=machine_server_name(machine, run),
            ca=pki / "machines.pem",
            certificate=pki / "control.pem",
            key=pki / "control.key",
        )
    return MachineRow(machine, state, data / "volumes" / volume, data / "machines" / machine, address)


def address_of(endpoint: Endpoint, folder: Path) -> BuildKitAddress:
    """An endpoint, with its certificates in files under ``folder``."""
    folder.mkdir(exist_ok=True)
    host, _, port = endpoint.address.removeprefix("tcp://").rpartition(":")
    files = {"ca.pem": endpoint.ca_certificate, "cert.pem": endpoint.certificate, "key.pem": endpoint.private_key}
    for name, content in files.items():
        write_private(folder / name, content.encode())
    return BuildKitAddress(
        host, int(port), endpoint.server_name, folder / "ca.pem", folder / "cert.pem", folder / "key.pem"
    )


def running_address(stack: Stack) -> BuildKitAddress:
    """Where the only machine itself is reached.

    Raises:
        BenchmarkFailed: it does not run.
    """
    address = machine_of(stack).address
    if address is None:
        raise BenchmarkFailed("the machine does not run")
    return address


def memory_of(process_id: int) -> float:
    """Bytes of a process, with its part of what it shares."""
    found = re.search(r"^Pss: +(\d+) kB", Path(f"/proc/{process_id}/smaps_rollup").read_text(), re.MULTILINE)
    return 1024.0 * int(found[1]) if found else 0.0


def processor_seconds_of(process_id: int) -> float:
    """CPU time that a process has taken so far."""
    fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


@dataclass(frozen=True, slots=True)
class Ran:
    """How long a command took, and what it said."""

    seconds: float
    output: str


def timed_command(
    command: list[str], *, cwd: Path, environment: dict[str, str], within: float = COMMAND_SECONDS
) -> Ran:
    """Run a command to its end.

    Raises:
        BenchmarkFailed: it failed, or did not end in time.
    """
    began = time.perf_counter()
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=within,
        )
    except subprocess.TimeoutExpired as error:
        raise BenchmarkFailed(f"{command[0]} did not end in {within:g} s") from error
    seconds = time.perf_counter() - began
    if done.returncode != 0:
        raise BenchmarkFailed(f"{command[0]} ended with exit code {done.returncode}:\n{done.stdout}")
    return Ran(seconds, done.stdout)


def buildctl_build(stack: Stack, address: BuildKitAddress, context: Path, *flags: str) -> Ran:
    """Build a folder with a Dockerfile by buildctl.

    Raises:
        BenchmarkFailed: it failed, or did not end in time.
    """
    build = ["build", "--frontend=dockerfile.v0", "--progress=plain"]
    sources = [f"--local=context={context}", f"--local=dockerfile={context}"]
    command = address.buildctl(stack.engine.buildctl, *build, *sources, *flags)
    return timed_command(command, cwd=context, environment=dict(os.environ))
