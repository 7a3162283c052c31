"""Dockerfiles that try to get at what isn't theirs: nothing crosses, and the neighbour's build goes on meanwhile.

What a step can reach by its network is in `test_step_networks`, memory in `test_machine_limits` and
`test_process_limits`, caps of volumes and how they heal in `test_process_volumes` and `test_cache_policy`.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.contract.machine_host import write_context
from tests.harness.depot import Result
from tests.harness.endpoint import EndpointFiles, get_endpoint
from tests.harness.server import Server
from tests.harness.waiting import eventually

MEGABYTE = 1000**2
KEEP_BYTES = 150 * MEGABYTE
HEADROOM = 64 * 1024**2
PROCESSES = 300
LOG_BYTES = 50_000
CACHE = "--mount=type=cache,id=shared,target=/cache"
SECRET = "--mount=type=secret,id=token,target=/secret,required=false"
# Of runc and Docker too: CAP_CHOWN, DAC_OVERRIDE, FSETID, FOWNER, MKNOD, NET_RAW, SETGID, SETUID, SETFCAP, SETPCAP,
# NET_BIND_SERVICE, SYS_CHROOT, KILL, AUDIT_WRITE.
DEFAULT_CAPABILITIES = 0xA80425FB

# Each is true only when it got what it wanted.
ATTEMPTS = {
    "file-of-the-others-cache-mount": "grep -q . /cache/*",
    "secret-of-the-other-build": "grep -q . /secret",
    "processes-of-others": "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ "
    "| grep -q -e [b]uildkitd -e [n]eighbours-mark",
    "more-processes-than-its-own": "[ $(ls -d /proc/[0-9]* | wc -l) -gt 20 ]",
    "root-of-the-first-process": "[ -e /proc/1/root/etc/shadow ]",
    "loop-device": "mknod /loop b 7 0 && dd if=/loop of=/dev/null count=1",
    "any-disk": "mknod /disk b 254 0 && dd if=/disk of=/dev/null count=1",
    "memory-device": "mknod /memory c 1 1 && dd if=/memory of=/dev/null count=1",
    "kernel-log-device": "mknod /kmsg c 1 11 && dd if=/kmsg of=/dev/null count=1",
    "fuse-device": "mknod /fuse c 10 229 && : <>/fuse",
    "mount": "mkdir -p /mnt && mount -t tmpfs tmpfs /mnt",
    "mount-of-proc": "mkdir -p /mnt && mount -t proc proc /mnt",
    "remount-of-sys": "mount -o remount,rw /sys",
    "mount-namespace": "unshare -m true",
    "user-namespace": "unshare -U true",
    # With version 1 what is around the groups is a tmpfs of the step's own.
    "new-cgroup": "for f in $(sed -n 's,.* \\(/sys/fs/cgroup[^ ]*\\) .* - cgroup.*,\\1,p' /proc/self/mountinfo); do "
    "mkdir $f/mine && exit 0; done; false",
    "limit-of-its-cgroup": "for f in $(find /sys/fs/cgroup -name pids.max -o -name 'memory.*limit_in_bytes' "
    "-o -name memory.max); do echo 99999999999 >$f && exit 0; done; false",
    "kernel-setting": "echo 1 >/proc/sys/kernel/panic",
    "sysrq": "echo h >/proc/sysrq-trigger",
    "core-pattern": "echo '|/bin/sh' >/proc/sys/kernel/core_pattern",
    "other-network": "ip link add name mine type bridge",
    "hosts-name": "hostname mine",
    "clock": "date -s 2001-01-01; [ $(date +%Y) = 2001 ]",
    "chroot-to-the-host": "chroot /proc/1/root /bin/bash -c true",
    "engines-socket": "ls /run/buildkit /run/stoker /run/docker.sock",
}


@dataclass
class Tenant:
    """A project with a build that holds its machine."""

    server: Server
    project: str
    build: str
    endpoint: EndpointFiles

    def run(self, folder: Path, *steps: str, flags: tuple[str, ...] = ()) -> Result:
        return self.endpoint.build(write_context(folder, *steps), *flags)

    @property
    def machine_id(self) -> str:
        (machine,) = self.server.machines(self.project)
        return machine.id


@pytest.fixture(scope="module")
def server(make_server: Callable[..., Server]) -> Server:
    return make_server(
        min_keep_bytes="1",
        max_step_log_bytes=str(LOG_BYTES),
        volume_headroom_bytes=str(HEADROOM),
        max_processes=str(PROCESSES),
        min_free_bytes="0",
    )


@pytest.fixture(scope="module")
def tenants(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Tenant, Tenant]]:
    """The one that attacks, and its neighbour."""
    made: list[Tenant] = []
    for name in ("attacker", "neighbour"):
        project = server.new_project(name)
        policy = {"projectId": project, "cachePolicy": {"keepBytes": KEEP_BYTES, "keepDays": 1}}
        assert server.call("depot.core.v1.ProjectService/UpdateProject", policy).status == 200
        build, token = server.new_build(project)
        made.append(Tenant(server, project, build, get_endpoint(server, build, token, tmp_path_factory.mktemp(name))))
    yield made[0], made[1]
    for one in made:
        server.call("depot.build.v1.BuildService/FinishBuild", {"buildId": one.build, "success": {}})


@pytest.fixture
def busy_neighbour(tenants: tuple[Tenant, Tenant], tmp_path: Path) -> Iterator[Tenant]:
    """The neighbour in the middle of a build, with a secret, a cache mount of the same id, and a process to be seen."""
    _, neighbour = tenants
    secret, log = tmp_path / "secret", tmp_path / "neighbour.log"
    secret.write_text("the neighbours secret")
    step = (
        f"{CACHE} {SECRET} echo its file >/cache/file && cp /secret /tmp && echo busy && sleep 1000; : neighbours-mark"
    )
    context = write_context(tmp_path / "neighbour", "mkdir /tmp", step)
    local = [f"--local=context={context}", f"--local=dockerfile={context}"]
    command = ["build", "--frontend=dockerfile.v0", "--progress=plain", *local, f"--secret=id=token,src={secret}"]
    with log.open("wb") as output:
        building = subprocess.Popen(neighbour.endpoint.command(*command), stdout=output, stderr=output)
    try:
        busy = re.compile(r"^#\d+ [\d.]+ busy$", re.MULTILINE)
        eventually(lambda: busy.search(log.read_text()) is not None, "the neighbour's step runs", 60)
        yield neighbour
        assert building.poll() is None, log.read_text()
    finally:
        building.kill()
        building.wait()


def builds_well(neighbour: Tenant, folder: Path) -> None:
    """Its cache mount has its own file, and nobody else's."""
    built = neighbour.run(folder, f"{CACHE} echo found $(ls /cache) $(cat /cache/file); : {folder}")
    assert built.code == 0, built.output
    assert re.search(r"^#\d+ [\d.]+ found file its file$", built.output, re.MULTILINE), built.output


def test_nothing_crosses(
    tenants: tuple[Tenant, Tenant], busy_neighbour: Tenant, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    attacker, _ = tenants
    tries = [
        f"if ({attempt}) >/dev/null 2>&1; then echo {name} crossed; else echo {name} held; fi"
        for name, attempt in ATTEMPTS.items()
    ]
    spoil = "echo spoiled >/cache/file; echo spoiled >/cache/more"

    built = attacker.run(tmp_path / "attack", f"{CACHE} {SECRET} {'; '.join(tries)}; {spoil}")

    assert built.code == 0, built.output
    said = dict(re.findall(r"^#\d+ [\d.]+ (\S+) (crossed|held)$", built.output, re.MULTILINE))
    with capsys.disabled():
        sys.stdout.write("\nwhat a hostile step tried          outcome\n")
        sys.stdout.writelines(f"{name:34} {outcome}\n" for name, outcome in said.items())
    assert said == dict.fromkeys(ATTEMPTS, "held")
    builds_well(busy_neighbour, tmp_path / "neighbours")


def test_steps_have_seccomp_and_the_usual_capabilities(tenants: tuple[Tenant, Tenant], tmp_path: Path) -> None:
    attacker, _ = tenants

    built = attacker.run(tmp_path / "context", "grep -e Seccomp: -e Cap /proc/self/status")

    status = dict(re.findall(r"^#\d+ [\d.]+ (\w+):\s*(\w+)$", built.output, re.MULTILINE))
    assert status["Seccomp"] == "2", "a filter"
    assert {name: int(status[name], 16) for name in ("CapEff", "CapPrm", "CapBnd")} == dict.fromkeys(
        ("CapEff", "CapPrm", "CapBnd"), DEFAULT_CAPABILITIES
    )
    assert int(status["CapInh"], 16) == int(status["CapAmb"], 16) == 0


@pytest.mark.bound("max_step_log_bytes")
def test_output_without_end_is_cut(tenants: tuple[Tenant, Tenant], tmp_path: Path) -> None:
    attacker, _ = tenants

    built = attacker.run(tmp_path / "context", "seq 100000")

    assert built.code == 0, built.output
    assert "[output clipped, log limit" in built.output
    assert re.search(r"^#\d+ [\d.]+ 10000$", built.output, re.MULTILINE), "the first 48,894 bytes"
    assert not re.search(r"^#\d+ [\d.]+ 11000$", built.output, re.MULTILINE), "what is beyond 54,894 bytes"


def test_processes_without_end_are_the_machines_own_trouble(
    tenants: tuple[Tenant, Tenant], busy_neighbour: Tenant, tmp_path: Path
) -> None:
    attacker, _ = tenants
    forks = f"for i in $(seq {2 * PROCESSES}); do sleep 1000 & done"

    forked = attacker.run(tmp_path / "attack", forks)

    assert forked.code != 0
    assert "can't fork" in forked.output, forked.output
    builds_well(busy_neighbour, tmp_path / "neighbours")
    assert attacker.run(tmp_path / "again", "echo well").code == 0, "the machine goes on"


def test_a_machines_files_are_no_business_of_other_users(tenants: tuple[Tenant, Tenant], server: Server) -> None:
    for tenant in tenants:
        folder = server.data / "machines" / tenant.machine_id
        script = 'for file; do if [ -r "$file" ] || [ -w "$file" ]; then echo "$file"; fi; done'
        files = [str(path) for path in (folder, *folder.rglob("*")) if not path.is_symlink()]
        files += [str(path) for path in (server.data, *(server.data / "pki").rglob("*"))]
        nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "sh", "-c", script, "sh"]
        assert len(files) > 10
        done = subprocess.run([*nobody, *files], capture_output=True, text=True, check=True)
        assert done.stdout == ""
        assert [path for path in (server.data / "pki").rglob("*.key") if path.stat().st_mode & 0o077] == []


def test_a_disk_filled_by_one_is_not_full_for_the_other(
    tenants: tuple[Tenant, Tenant], busy_neighbour: Tenant, tmp_path: Path
) -> None:
    attacker, _ = tenants

    filled = attacker.run(tmp_path / "attack", "dd if=/dev/urandom of=/all bs=1M count=1000")

    assert filled.code != 0
    assert re.search(r"Disk quota exceeded|No space left on device", filled.output), filled.output
    builds_well(busy_neighbour, tmp_path / "neighbours")
