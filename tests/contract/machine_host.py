"""This host, as the tests of the process runtime use it: what is there now, certificates, builds, an internet."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from stoker.domain.cache_policy import CachePolicy
from stoker.domain.hardware import MachineSize
from stoker.domain.machines import Placement
from stoker.domain.platforms import Platform
from stoker.pki.authority import open_authority
from stoker.pki.private_files import write_private
from stoker.runtimes.contract import MachineCertificates, MachineSpec, Observed
from stoker.runtimes.process.config import ProcessRuntimeConfig
from stoker.runtimes.process.engine.emulation import native_platform
from stoker.runtimes.process.process_site import ProcessSite
from stoker.runtimes.process.process_volumes import ProcessVolumes
from stoker.runtimes.process.runtime import ProcessRuntime
from stoker.system import SystemClock
from tests.harness.contexts import busybox
from tests.harness.one_at_a_time import reserved

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from stoker.engine import Engine

READY_SECONDS = 60.0
BUILD_SECONDS = 120.0
GRACE_SECONDS = 20.0
POLL_SECONDS = 0.02
LEFT_SECONDS = 30.0
MACHINE_NAME = "machine.internal"


@dataclass(frozen=True)
class Certificates:
    """The certificates of one machine run and of its one caller."""

    folder: Path

    @classmethod
    def issue(cls, folder: Path) -> Certificates:
        authority = open_authority(folder, "machines", SystemClock())
        server = authority.issue_server((MACHINE_NAME,), timedelta(hours=1))
        client = authority.issue_client("test", "spiffe://stoker.internal/control", timedelta(hours=1))
        for name, pair in (("server", server), ("client", client)):
            write_private(folder / f"{name}.pem", pair.certificate.encode())
            write_private(folder / f"{name}.key", pair.private_key.encode())
        return cls(folder)

    @property
    def of_machine(self) -> MachineCertificates:
        names = ("machines.pem", "server.pem", "server.key")
        return MachineCertificates(*((self.folder / name).read_bytes() for name in names))


@dataclass(frozen=True)
class Built:
    """How a build ended, and all that it said."""

    code: int
    text: str

    @property
    def cached(self) -> int:
        return len(re.findall(r"^#\d+ CACHED$", self.text, re.MULTILINE))


@dataclass
class Machine:
    """A machine that was started, and how to build on it."""

    spec: MachineSpec
    placement: Placement
    certificates: Certificates
    engine: Engine

    @property
    def process_id(self) -> int:
        """Its outermost process."""
        return int(self.placement.remembered["process_id"])

    def command(self, *arguments: str, client: str | None = "client") -> list[str]:
        folder = self.certificates.folder
        command = [str(self.engine.buildctl), "--addr", f"tcp://{self.placement.host}:{self.placement.port}"]
        command += ["--tlsservername", MACHINE_NAME, "--tlscacert", str(folder / "machines.pem")]
        if client is not None:
            command += ["--tlscert", str(folder / f"{client}.pem"), "--tlskey", str(folder / f"{client}.key")]
        return [*command, *arguments]

    async def call(self, *arguments: str, client: str | None = "client") -> Built:
        process = await asyncio.create_subprocess_exec(
            *self.command(*arguments, client=client), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        output, _ = await asyncio.wait_for(process.communicate(), BUILD_SECONDS)
        return Built(process.returncode or 0, output.decode(errors="replace"))

    def build_arguments(self, context: Path, *arguments: str) -> list[str]:
        local = [f"--local=context={context}", f"--local=dockerfile={context}"]
        return ["build", "--frontend=dockerfile.v0", *local, "--progress=plain", *arguments]

    async def build(self, context: Path, *arguments: str) -> Built:
        return await self.call(*self.build_arguments(context, *arguments))

    @asynccontextmanager
    async def building(self, context: Path, until: str, *arguments: str) -> AsyncIterator[str]:
        """A build that has said something that matches ``until``, and goes on."""
        process = await asyncio.create_subprocess_exec(
            *self.command(*self.build_arguments(context, *arguments)),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert process.stdout is not None
        try:
            async with asyncio.timeout(BUILD_SECONDS):
                said = ""
                while (found := re.search(until, said, re.MULTILINE)) is None:
                    line = await process.stdout.readline()
                    assert line, f"the build ended before it said {until!r}:\n{said}"
                    said += line.decode(errors="replace")
            yield found.group(0)
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


@dataclass
class MachineHost:
    """One server's runtime on this host."""

    site: ProcessSite
    config: ProcessRuntimeConfig
    certificates: Certificates
    engine: Engine
    started: list[str] = field(default_factory=list)

    @property
    def runtime(self) -> ProcessRuntime:
        return self.site.runtime

    @property
    def volumes(self) -> ProcessVolumes:
        return self.site.volumes

    def spec(
        self,
        machine_id: str,
        volume_id: str = "volume",
        platform: Platform | None = None,
        size: MachineSize | None = None,
        cache_policy: CachePolicy | None = None,
    ) -> MachineSpec:
        return MachineSpec(
            machine_id=machine_id,
            volume_id=volume_id,
            platform=platform or native_platform(),
            size=size or MachineSize(cpus=4, memory_bytes=4 * 1024**3),
            cache_policy=cache_policy or CachePolicy(),
            certificates=self.certificates.of_machine,
        )

    async def start(self, spec: MachineSpec) -> Machine:
        placements = [placement async for placement in self.runtime.start(spec)]
        return Machine(spec, placements[-1], self.certificates, self.engine)

    async def start_ready(
        self, machine_id: str = "machine", volume_id: str = "volume", platform: Platform | None = None
    ) -> Machine:
        return await self.wait_ready(await self.start(self.spec(machine_id, volume_id, platform)))

    async def wait_ready(self, machine: Machine) -> Machine:
        machine_id = machine.spec.machine_id
        async with asyncio.timeout(READY_SECONDS):
            while True:
                answer = await machine.call("debug", "workers")
                if answer.code == 0:
                    return machine
                assert await self.runtime.observe(machine_id, machine.placement) is Observed.RUNNING, self.log(
                    machine_id
                )
                await asyncio.sleep(POLL_SECONDS)

    def log(self, machine_id: str) -> str:
        return (self.config.data / "machines" / machine_id / f"{machine_id}.log").read_text()


def machine_processes(server_id: str, machine_id: str) -> dict[int, str]:
    """The command lines of a machine's processes."""
    found: dict[int, str] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"/stoker/{server_id}/{machine_id}/" in (folder / "cgroup").read_text():
                found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
        except OSError:
            continue
    return found


def engine_process(host: MachineHost, machine_id: str) -> int:
    """buildkitd itself."""
    processes = machine_processes(host.config.server_id, machine_id)
    return next(pid for pid, command in processes.items() if command.split()[0].endswith("/buildkitd"))


async def kill_and_wait(host: MachineHost, machine: Machine, pid: int) -> None:
    """SIGKILL one process, and wait until the runtime notices that the machine is gone."""
    waiting = asyncio.create_task(host.runtime.wait_exit(machine.spec.machine_id, machine.placement))
    os.kill(pid, signal.SIGKILL)
    await asyncio.wait_for(waiting, READY_SECONDS)


def traces(config: ProcessRuntimeConfig) -> frozenset[str]:
    """What there is on this host of the kinds of things that a runtime makes; volumes and kept logs are to stay.

    What can carry a server's name is looked for by it, so that other servers on this host don't matter.
    """
    data, group = str(config.data), f"/stoker/{config.server_id}"
    found = {f"process {command}" for command in _commands(data, group)}
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    # Other servers on this host mount their volume stores whenever they like.
    found |= {f"mount {point}" for point in mounts if not point.endswith("/volumes") or data in point}
    found |= {f"loop device of {file}" for file in loop_devices() if data in file}
    found |= {f"device {path.name}" for path in Path("/sys/class/net").iterdir() if not _is_foreign(path, config)}
    found |= {f"rules {line}" for line in run("nft", "list", "ruleset").splitlines() if config.server_id in line}
    found |= {f"cgroup {path}" for path, _, _ in os.walk("/sys/fs/cgroup") if group in path}
    places = [config.data / "machines", config.data / "volumes" / ".deleting", Path("/run/runc"), Path("/run/buildkit")]
    places += [Path("/var/lib/cni"), Path("/run/netns"), config.run_folder / "machine", Path("/etc/buildkit")]
    found |= {f"file {path}" for place in places for path in place.rglob("*")}
    found |= {f"file {path}" for path in Path("/tmp").iterdir() if path.name.startswith("buildkit")}  # noqa: S108
    return frozenset(found)


def loop_devices() -> list[str]:
    """The files behind this host's loop devices, whoever holds them."""
    return [file.read_text().strip() for file in Path("/sys/block").glob("loop*/loop/backing_file")]


async def nothing_left(config: ProcessRuntimeConfig, before: frozenset[str]) -> None:
    """Wait until nothing is there that wasn't: the kernel destroys network namespaces in its own time."""
    left = traces(config) - before
    try:
        async with asyncio.timeout(LEFT_SECONDS):
            while left:
                await asyncio.sleep(POLL_SECONDS)
                left = traces(config) - before
    except TimeoutError:
        assert not left


def _is_foreign(device: Path, config: ProcessRuntimeConfig) -> bool:
    """Whether a device is, or is attached to, the bridge of another server's machine."""
    for file in (device / "ifalias", device / "master" / "ifalias"):
        try:
            alias = file.read_text()
        except OSError:
            continue
        if alias.startswith("stoker/") and not alias.startswith(f"stoker/{config.server_id}/"):
            return True
    return False


def _commands(data: str, group: str) -> set[str]:
    found: set[str] = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            inside = (folder / "cgroup").read_text()
        except OSError:
            continue
        if data in command or group in inside:
            found.add(f"{folder.name} {command}")
    return found


def write_context(folder: Path, *steps: str, platform: Platform | None = None) -> Path:
    """A build context whose only tool is a static busybox, of this host's platform unless another is named."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(busybox((platform or native_platform()).architecture), folder / "busybox")
    lines = ["FROM scratch", "COPY busybox /bin/sh", "COPY busybox /bin/busybox", "ENV PATH=/bin"]
    (folder / "Dockerfile").write_text("\n".join([*lines, *(f"RUN {step}" for step in steps)]) + "\n")
    return folder


RESPONDER = """
import socket, sys
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); udp.bind((sys.argv[1], 53))
print("ready", flush=True)
answers = {
    b"\\0\\1": b"\\0\\4" + socket.inet_aton(sys.argv[2]),
    b"\\0\\x1c": b"\\0\\x10" + socket.inet_pton(socket.AF_INET6, sys.argv[3]),
}
while True:
    query, caller = udp.recvfrom(512)
    end = query.index(b"\\0", 12) + 5
    asked = query[end - 4:end - 2]
    answer = b"\\xc0\\x0c" + asked + b"\\0\\1\\0\\0\\0\\x05" + answers[asked] if asked in answers else b""
    count = b"\\0\\1" if answer else b"\\0\\0"
    udp.sendto(query[:2] + b"\\x81\\x80\\0\\1" + count + b"\\0\\0\\0\\0" + query[12:end] + answer, caller)
"""

WEB_SERVER = """
import http.server, socket, sys
class Hello(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b"hello")
    def log_message(self, *arguments): pass
class Both(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6
    def server_bind(self):
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()
server = Both(("::", int(sys.argv[1])), Hello)
print(server.server_port, flush=True)
server.serve_forever()
"""


@dataclass(frozen=True)
class Internet:
    """A network namespace that stands for the internet and, at some addresses, for a private network.

    Its addresses of the internet are among those of AS112 (RFC 7534, RFC 7535), which serve to be answered by anybody.
    """

    public: str = "192.31.196.2"
    public6: str = "2620:4f:8000:77::2"
    host_side: str = "192.31.196.1"
    host_side6: str = "2620:4f:8000:77::1"
    private: tuple[str, ...] = ("172.20.77.1", "192.168.77.1", "100.64.77.1", "169.254.77.77", "10.77.0.1")
    # A unique local address, one that was meant for sites, and IPv4's 10.77.0.1 as 6to4 and as NAT64 write it.
    private6: tuple[str, ...] = ("fd77::1", "fec0:77::1", "2002:a4d:1::1", "64:ff9b::a4d:1")
    metadata: tuple[str, ...] = ("169.254.169.254", "fd00:ec2::254")
    name_server: str = "10.77.0.53"
    allowed: str = "10.78.0.1"
    allowed6: str = "fd78::1"
    # The same kind of address as `public`, for what an operator denies.
    denied: str = "192.31.196.66"

    @property
    def routed(self) -> tuple[str, ...]:
        """All but those that are on the link."""
        return (*self.private, *self.private6, *self.metadata, self.name_server, self.allowed, self.allowed6)


@contextmanager
def internet() -> Iterator[Internet]:
    """Make the network namespace, with a web server on port 80 and a name server, for as long as it is used."""
    with reserved("internet"), _internet() as net:
        yield net


@contextmanager
def _internet() -> Iterator[Internet]:
    net = Internet()
    name = f"stoker-{secrets.token_hex(3)}"
    outside, inside = f"{name[7:]}o", f"{name[7:]}i"
    servers: list[subprocess.Popen[str]] = []
    try:
        run("ip", "netns", "add", name)
        run("ip", "link", "add", outside, "type", "veth", "peer", "name", inside, "netns", name)
        run("ip", "addr", "add", f"{net.host_side}/24", "dev", outside)
        run("ip", "addr", "add", f"{net.host_side6}/64", "dev", outside, "nodad")
        run("ip", "link", "set", outside, "up")
        on_link = (f"{net.public}/24", f"{net.denied}/24", f"{net.public6}/64")
        for address in (*on_link, *(f"{one}/{_length(one)}" for one in net.routed)):
            run("ip", "-n", name, "addr", "add", address, "dev", inside, *(["nodad"] if ":" in address else []))
        run("ip", "-n", name, "link", "set", "lo", "up")
        run("ip", "-n", name, "link", "set", inside, "up")
        # No way back but to the host itself: an answer arrives only when our side translated the address.
        for address in net.routed:
            way = net.public6 if ":" in address else net.public
            run("ip", "route", "add", f"{address}/{_length(address)}", "via", way, "dev", outside)
        enter = ["nsenter", f"--net=/run/netns/{name}"]
        for script, arguments in ((WEB_SERVER, ["80"]), (RESPONDER, [net.name_server, net.public, net.public6])):
            servers.append(serve([*enter, sys.executable, "-c", script, *arguments])[0])
        yield net
    finally:
        for server in servers:
            end(server)
        run("ip", "link", "del", outside)
        run("ip", "netns", "del", name)


def _length(address: str) -> int:
    return 128 if ":" in address else 32


def serve(command: list[str]) -> tuple[subprocess.Popen[str], str]:
    """Start a server and return it with the first line that it says."""
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    return server, server.stdout.readline().strip()


def end(server: subprocess.Popen[str]) -> None:
    server.kill()
    server.wait()
    assert server.stdout is not None
    server.stdout.close()


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout
