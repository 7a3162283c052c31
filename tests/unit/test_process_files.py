from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network, IPv6Network
from pathlib import Path

import pytest

from stoker.domain.cache_policy import CachePolicy
from stoker.domain.hardware import MachineSize
from stoker.domain.platforms import Platform
from stoker.domain.privileges import NO_PRIVILEGES, Entitlement, Privileges
from stoker.runtimes.contract import MachineCertificates, MachineSpec
from stoker.runtimes.errors import VolumeDeleteFailed
from stoker.runtimes.process.config import ProcessRuntimeConfig, checked_name
from stoker.runtimes.process.engine import logs
from stoker.runtimes.process.engine.damage import damage_in
from stoker.runtimes.process.engine.emulation import emulated_platforms, native_platform, registration
from stoker.runtimes.process.engine.engine_files import MachineFolder, machine_engine_config
from stoker.runtimes.process.host.limits import CONTROLLERS, Limits, capped, limit_files, limits_of
from stoker.runtimes.process.host.memory import kills_in
from stoker.runtimes.process.host.privileges import read_privileges, written_privileges
from stoker.runtimes.process.network.bridges import Bridge
from stoker.runtimes.process.network.cni_files import network_config
from stoker.runtimes.process.volumes.trees import mounts_in
from stoker.runtimes.process.volumes.volumes import DirectoryVolumes
from stoker.runtimes.processes import started_ticks
from tests.harness.waiting import eventually

SPEC = MachineSpec(
    machine_id="machine",
    volume_id="volume",
    platform=Platform.ARM64,
    size=MachineSize(cpus=8, memory_bytes=2**33),
    cache_policy=CachePolicy(keep_bytes=10**10, keep_days=2),
    certificates=MachineCertificates(b"ca", b"certificate", b"key"),
)
FOLDER = MachineFolder(Path("/data/machines/machine"))


def config(**settings: object) -> ProcessRuntimeConfig:
    base: dict[str, object] = {"server_id": "s", "data": Path("/data"), "buildkitd": Path("/engine/buildkitd")}
    return ProcessRuntimeConfig(**{**base, **settings})  # pyright: ignore[reportArgumentType]


def written(spec: MachineSpec = SPEC, **settings: object) -> dict[str, dict[str, object]]:
    text = machine_engine_config(
        spec,
        config(**settings),
        FOLDER,
        volume=Path("/v"),
        min_free_bytes=7,
        port=4242,
        cgroup="/stoker/s/machine",
        view=Path("/view"),
    )
    return tomllib.loads(text)


def test_the_engine_listens_on_loopback_alone_and_asks_for_certificates() -> None:
    assert written()["grpc"] == {
        "address": ["tcp://127.0.0.1:4242"],
        "tls": {
            "ca": "/data/machines/machine/tls/ca.pem",
            "cert": "/data/machines/machine/tls/machine.pem",
            "key": "/data/machines/machine/tls/machine.key",
        },
    }


def test_the_engine_allows_no_entitlement() -> None:
    assert written()["insecure-entitlements"] == []


def test_the_cache_policy_is_two_rules() -> None:
    assert written()["worker"]["oci"]["gcpolicy"] == [  # pyright: ignore[reportIndexIssue]
        {"all": True, "keepDuration": "172800s"},
        {"all": True, "maxUsedSpace": 10**10, "minFreeSpace": 7},
    ]


def test_without_days_nothing_is_dropped_for_its_age() -> None:
    for_ever = replace(SPEC, cache_policy=CachePolicy(keep_bytes=10**10, keep_days=0))

    rules = written(for_ever, min_free_bytes=7)["worker"]["oci"]["gcpolicy"]  # pyright: ignore[reportIndexIssue]

    assert rules == [{"all": True, "maxUsedSpace": 10**10, "minFreeSpace": 7}]


def test_a_machine_offers_its_platform_first_and_looks_for_no_other() -> None:
    assert written()["worker"]["oci"]["platforms"] == ["linux/arm64"]  # pyright: ignore[reportIndexIssue]
    # BuildKit looks when it has none for either of its workers, enabled or not.
    assert written()["worker"]["containerd"]["platforms"] == ["linux/arm64"]  # pyright: ignore[reportIndexIssue]


def test_name_servers_are_written_only_when_set() -> None:
    assert "dns" not in written()
    assert written(name_servers=(IPv4Address("10.0.0.2"),))["dns"] == {"nameservers": ["10.0.0.2"]}


def test_steps_are_attached_to_the_machines_own_bridge_without_masquerading() -> None:
    (plugin,) = json.loads(network_config(FOLDER, Bridge("stk0", IPv4Network("10.210.0.0/25"), 1400)))["plugins"]
    assert (plugin["bridge"], plugin["ipMasq"], plugin["mtu"]) == ("stk0", False, 1400)
    assert plugin["ipam"]["ranges"] == [[{"subnet": "10.210.0.0/25", "gateway": "10.210.0.1"}]]
    assert plugin["ipam"]["routes"] == [{"dst": "0.0.0.0/0"}]


def test_steps_get_addresses_of_both_versions_where_the_bridge_has_them() -> None:
    bridge = Bridge("stk0", IPv4Network("10.210.0.0/25"), 1400, IPv6Network("fd00:1::/96"))
    (plugin,) = json.loads(network_config(FOLDER, bridge))["plugins"]
    assert plugin["ipam"]["ranges"][1] == [{"subnet": "fd00:1::/96", "gateway": "fd00:1::1"}]
    assert plugin["ipam"]["routes"] == [{"dst": "0.0.0.0/0"}, {"dst": "::/0", "gw": "fd00:1::1"}]


def test_steps_of_a_machine_with_a_network_namespace_are_attached_to_the_bridge_in_it() -> None:
    bridge = Bridge("stk0", IPv4Network("10.210.0.0/25"), 1400, IPv6Network("fd00:1::/96"), routed=True)
    (plugin,) = json.loads(network_config(FOLDER, bridge))["plugins"]
    assert plugin["bridge"] == "steps"
    assert plugin["ipam"]["ranges"] == [
        [{"subnet": "10.210.0.0/25", "rangeStart": "10.210.0.4", "gateway": "10.210.0.3"}],
        [{"subnet": "fd00:1::/96", "rangeStart": "fd00:1::4", "gateway": "fd00:1::3"}],
    ]


def test_privileges_are_read_as_they_were_written() -> None:
    given = Privileges((IPv4Network("10.0.0.0/8"),), (IPv6Network("fd00::/8"),), frozenset(Entitlement))
    assert read_privileges(written_privileges(given)) == given
    assert read_privileges(written_privileges(NO_PRIVILEGES)) == NO_PRIVILEGES


def test_a_machine_allows_what_its_project_may() -> None:
    given = replace(SPEC, privileges=Privileges(entitlements=frozenset({Entitlement.NETWORK_HOST})))
    assert written(given)["insecure-entitlements"] == ["network.host"]


@pytest.mark.parametrize(
    "settings",
    [
        {"server_id": "Server"},
        {"server_id": ""},
        {"server_id": "x" * 17},
        {"data": Path("relative")},
        {"buildkitd": Path("buildkitd")},
        {"subnet_prefix": 8},
        {"subnet_prefix": 31},
    ],
)
def test_settings_that_can_not_work_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"server_id|absolute|fit"):
        config(**settings)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "A", "-a", "a" * 64, ".deleting", "a\n"])
def test_ids_that_lead_elsewhere_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not an id"):
        checked_name(name)
    with pytest.raises(ValueError, match="not an id"):
        DirectoryVolumes(tmp_path).delete(name)


def test_mounts_are_found_by_folder_and_not_by_prefix() -> None:
    table = "\n".join(
        f"{number} 1 0:{number} / {point} rw - tmpfs tmpfs rw"
        for number, point in enumerate(["/v", "/v/one", r"/v/one/a\040b", "/value"])
    )
    assert mounts_in(Path("/v/one"), table) == [Path("/v/one/a b"), Path("/v/one")]


def test_a_volume_that_can_not_be_deleted_stays_known(tmp_path: Path) -> None:
    volumes = DirectoryVolumes(tmp_path / "volumes")
    volumes.open("one", 0)
    (tmp_path / "volumes" / ".deleting").write_text("in the way")
    with pytest.raises(VolumeDeleteFailed, match="one"):
        volumes.delete("one")
    assert volumes.ids() == {"one"}


def test_logs_are_trimmed_to_their_newer_half_and_the_newest_are_kept(tmp_path: Path) -> None:
    log = tmp_path / "m.log"
    log.write_bytes(b"old" * 100 + b"new" * 100)
    logs.trim(log, 600)
    assert log.stat().st_size == 600
    logs.trim(log, 500)
    assert log.read_bytes() == (b"new" * 100)[-250:]
    for number in range(4):
        file = tmp_path / f"m{number}.log"
        file.write_bytes(b"x" * 100)
        logs.keep(file, tmp_path / "kept", size=10, count=2)
    kept = sorted((tmp_path / "kept").iterdir())
    assert [path.name for path in kept] == ["m2.log", "m3.log"]
    assert all(path.stat().st_size == 10 for path in kept)


def test_a_machine_without_a_log_keeps_none(tmp_path: Path) -> None:
    logs.keep(tmp_path / "none.log", tmp_path / "kept", size=10, count=2)
    logs.trim(tmp_path / "none.log", 10)
    assert not (tmp_path / "kept").exists()


def test_emulation_is_seen_only_where_it_works_in_steps(tmp_path: Path) -> None:
    other = next(platform for platform in Platform if platform is not native_platform())
    text = registration("qemu", other, "/usr/bin/qemu").decode()
    _, name, kind, offset, magic, mask, interpreter, flags = text.split(":")
    assert (name, kind, offset, interpreter, flags) == ("qemu", "M", "", "/usr/bin/qemu", "OCF")
    assert magic.count(r"\x") == mask.count(r"\x") == 20
    shown = magic.replace(r"\x", "")
    for state, flags_shown, expected in (
        ("enabled", "OCF", {other}),
        ("enabled", "OC", set[Platform]()),
        ("disabled", "OCF", set[Platform]()),
    ):
        (tmp_path / "any-name").write_text(
            f"{state}\ninterpreter /usr/bin/qemu\nflags: {flags_shown}\noffset 0\nmagic {shown}\nmask ff\n"
        )
        assert emulated_platforms(tmp_path) == expected


def test_a_volumes_size_counts_blocks_on_disk_and_every_file_once(tmp_path: Path) -> None:
    volumes = DirectoryVolumes(tmp_path / "volumes")
    empty = volumes.open("empty", 0).path
    folder = volumes.open("full", 0).path
    (folder / "file").write_bytes(b"x" * 1_000_000)
    (folder / "same file").hardlink_to(folder / "file")
    with (folder / "sparse").open("wb") as sparse:
        sparse.truncate(10**10)
    (tmp_path / "outside").write_bytes(b"x" * 1_000_000)
    (folder / "link").symlink_to(tmp_path / "outside")

    assert empty.is_dir()
    assert 1_000_000 <= volumes.size("full") - volumes.size("empty") < 1_100_000


def test_measuring_ends_with_the_server_that_does_it(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    slow = tmp_path / "bin" / "du"
    slow.parent.mkdir()
    slow.write_text(f"#!/bin/sh\necho $$ >{pid_file}.new && mv {pid_file}.new {pid_file}\nexec sleep 1000\n")
    slow.chmod(0o755)
    script = "import sys; from pathlib import Path; "
    script += "from stoker.runtimes.process.volumes.volumes import DirectoryVolumes; "
    script += "volumes = DirectoryVolumes(Path(sys.argv[1])); volumes.open('volume', 0); volumes.size('volume')"
    environment = {**os.environ, "PATH": f"{slow.parent}:{os.environ['PATH']}"}
    with subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "volumes")], env=environment) as server:
        eventually(pid_file.exists, "it measures")
        measuring = int(pid_file.read_text())
        assert started_ticks(measuring) is not None
        server.kill()
    eventually(lambda: started_ticks(measuring) is None, "the measuring ends")


@pytest.mark.parametrize(
    ("unified", "expected"),
    [
        (
            True,
            {"cpu.max": "200000 100000", "memory.max": "1000000", "memory.swap.max": "0", "pids.max": "50"},
        ),
        (
            False,
            {
                "cpu.cfs_period_us": "100000",
                "cpu.cfs_quota_us": "200000",
                "memory.limit_in_bytes": "1000000",
                "memory.memsw.limit_in_bytes": "1000000",
                "pids.max": "50",
            },
        ),
    ],
)
def test_limits_are_written_in_the_words_of_each_cgroup_version(unified: bool, expected: dict[str, str]) -> None:
    limits = Limits(cpus=2, memory_bytes=10**6, processes=50)
    assert dict(limit_files(limits, frozenset(CONTROLLERS), unified=unified)) == expected
    assert limit_files(limits, frozenset(), unified=unified) == []


def test_a_machine_as_large_as_the_host_has_no_cpu_limit() -> None:
    host = MachineSize(cpus=4, memory_bytes=2**33)
    size = capped(MachineSize(cpus=16, memory_bytes=2**32), host)
    assert size == MachineSize(cpus=4, memory_bytes=2**32)
    assert limits_of(size, host, 50) == Limits(cpus=None, memory_bytes=2**32, processes=50)


def test_kills_are_read_from_both_cgroup_versions(tmp_path: Path) -> None:
    (tmp_path / "memory.events").write_text("low 0\nhigh 0\nmax 12\noom 1\noom_kill 3\noom_group_kill 0\n")
    (tmp_path / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 2\n")
    assert kills_in(tmp_path, unified=True) == 3
    assert kills_in(tmp_path, unified=False) == 2
    assert kills_in(tmp_path / "gone", unified=True) == 0


@pytest.mark.parametrize(
    ("log", "is_damage"),
    [
        (b"buildkitd: invalid database\nfailed to open database file /v/metadata_v2.db\n", True),
        (b"panic: invalid freelist page: 8199, page type is unknown<8009>\n", True),
        (b"buildkitd: open /v/cache.db: input/output error\n", True),
        (b"buildkitd: write /v/cache.db: disk quota exceeded\n", False),
        (b"buildkitd: write /v/cache.db: no space left on device\n", False),
        (b"buildkitd: listen tcp 127.0.0.1:4242: bind: address already in use\n", False),
        (b"", False),
    ],
)
def test_damage_is_told_from_other_reasons(log: bytes, is_damage: bool) -> None:
    assert (damage_in(b"level=info msg=begun\n" + log) is not None) == is_damage
