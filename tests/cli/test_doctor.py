"""`stoker doctor` finds what is missing, and `stoker serve` refuses what it can't do safely."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.harness.environment import plain_environment

PROGRAM = (sys.executable, "-m", "stoker.cli.main")
WITHOUT_NETWORKS = ("setpriv", "--bounding-set", "-net_admin")
WITHOUT_MOUNTS = ("setpriv", "--bounding-set", "-sys_admin")


@pytest.fixture
def run(tmp_path: Path, cache: Path) -> Any:
    def run(
        *command: str, listen: str = "127.0.0.1:0", data: Path = tmp_path / "data"
    ) -> subprocess.CompletedProcess[str]:
        environment = {**plain_environment(), "HOME": str(tmp_path), "STOKER_CACHE": str(cache)}
        return subprocess.run(
            [*command, "--data", str(data), "--listen", listen, "--gateway", "127.0.0.1:0"],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def findings(answer: subprocess.CompletedProcess[str]) -> dict[str, dict[str, str]]:
    return {finding["subject"]: finding for finding in json.loads(answer.stdout)["findings"]}


def shown(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def host_state() -> tuple[str, ...]:
    mounts = Path("/proc/mounts").read_text()
    return (mounts, *(shown(*command) for command in (("ip", "-o", "link"), ("nft", "list", "tables"))))


def test_it_says_that_a_server_can_run_here(run: Any, tmp_path: Path) -> None:
    answer = run(*PROGRAM, "doctor", "--json")

    assert answer.returncode == 0, answer.stdout
    assert json.loads(answer.stdout)["canServe"] is True
    found = findings(answer)
    assert {finding["verdict"] for finding in found.values()} <= {"good", "weaker"}
    assert {"cgroups", "networks of steps", "btrfs", "disk", "ports", "engine", "container runtime"} <= found.keys()
    assert all(finding["advice"] for finding in found.values() if finding["verdict"] != "good")
    assert "names aren't ASCII" in found["clients"]["found"], "the depot CLI can't send them"
    assert not (tmp_path / "data").exists(), "it changes nothing"


def test_a_person_reads_a_table_and_a_conclusion(run: Any) -> None:
    answer = run(*PROGRAM, "doctor")

    lines = answer.stdout.splitlines()
    assert lines[0].split() == ["what", "found"]
    assert any(line.startswith("seccomp ") and " ok " in line for line in lines)
    assert answer.stderr.strip().startswith("a server can run here")


def test_without_the_right_to_make_networks_it_is_unsafe_and_serve_refuses(run: Any, tmp_path: Path) -> None:
    answer = run(*WITHOUT_NETWORKS, *PROGRAM, "doctor", "--json")

    assert answer.returncode == 1
    assert json.loads(answer.stdout)["canServe"] is False
    assert findings(answer)["networks of steps"]["verdict"] == "unsafe"
    refused = run(*WITHOUT_NETWORKS, *PROGRAM, "serve")
    assert refused.returncode == 1
    assert "networks of steps: lacks CAP_NET_ADMIN" in refused.stderr
    assert "--allow-unisolated" in refused.stderr
    assert not (tmp_path / "data").exists(), "a refusal changes nothing"
    allowed = run(*WITHOUT_NETWORKS, *PROGRAM, "doctor", "--json", "--allow-unisolated")
    assert allowed.returncode == 0


def test_without_the_right_to_mount_it_says_so_and_nothing_allows_it(run: Any) -> None:
    answer = run(*WITHOUT_MOUNTS, *PROGRAM, "doctor", "--json", "--allow-unisolated")

    assert answer.returncode == 1
    privileges = findings(answer)["privileges"]
    assert (privileges["verdict"], privileges["found"]) == ("missing", "lacks CAP_SYS_ADMIN")
    refused = run(*WITHOUT_MOUNTS, *PROGRAM, "serve", "--allow-unisolated")
    assert refused.returncode == 1
    assert refused.stderr.splitlines()[0] == "stoker: privileges: lacks CAP_SYS_ADMIN"


def test_a_port_that_is_taken_is_named_with_what_to_do(run: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        answer = run(*PROGRAM, "doctor", "--json", listen=address)

    assert answer.returncode == 1
    ports = findings(answer)["ports"]
    assert ports["verdict"] == "missing"
    assert ports["found"] == f"{address} is in use by another program"
    assert ports["advice"] == "choose another with --listen"


def test_a_path_that_is_too_long_for_sockets_is_told(run: Any, tmp_path: Path) -> None:
    answer = run(*PROGRAM, "doctor", "--json", data=tmp_path / ("long" * 30))

    assert answer.returncode == 1
    folder = findings(answer)["data folder"]
    assert folder["verdict"] == "missing"
    assert "take a folder whose path has at most 90 bytes" in folder["advice"]


def test_few_open_files_are_told(run: Any) -> None:
    answer = run("prlimit", "--nofile=1024:1024", *PROGRAM, "doctor", "--json")

    assert answer.returncode == 0
    files = findings(answer)["open files"]
    assert (files["verdict"], files["found"]) == ("weaker", "at most 1024")


def test_it_changes_nothing_on_the_host(run: Any) -> None:
    assert run(*PROGRAM, "doctor").returncode == 0

    # Other servers may start or stop machines meanwhile, but nothing that bears the trial's name is left.
    assert all("trial" not in state for state in host_state())


def test_without_cgroup_v2_buildkits_own_calls_cannot_be_told_and_it_says_so(run: Any) -> None:
    hidden = "grep ' cgroup2 ' /proc/mounts | cut -d' ' -f2 | xargs umount && exec \"$@\""
    answer = run("unshare", "--mount", "sh", "-c", hidden, "sh", *PROGRAM, "doctor", "--json")

    found = findings(answer)["networks of steps"]
    assert found["verdict"] == "unsafe"
    assert found["found"] == "no cgroup v2, by which BuildKit's own calls are told"
    assert "mount -t cgroup2" in found["advice"]


def test_it_says_whether_connections_of_an_address_can_be_bounded(run: Any) -> None:
    subject = "connections of an address"
    found = findings(run(*PROGRAM, "doctor", "--json"))[subject]
    assert (found["verdict"], found["found"]) == ("good", "at most 5000 to the API")
    found = findings(run(*WITHOUT_NETWORKS, *PROGRAM, "doctor", "--json"))[subject]
    assert (found["verdict"], found["advice"]) == ("weaker", "run as root with nftables")
    assert "are not bounded" in found["found"]


@pytest.mark.parametrize(
    ("certificate", "key", "says"),
    [("own", "missing", "can't be read: No such file"), ("own", "other", "don't go together"), ("own", "own", None)],
)
def test_a_certificate_and_a_key_that_do_not_fit_are_told(
    run: Any, tmp_path: Path, certificate: str, key: str, says: str | None
) -> None:
    for name in ("own", "other"):
        files = ("-keyout", str(tmp_path / f"{name}.key"), "-out", str(tmp_path / f"{name}.pem"))
        shown("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", *files)
    pair = (f"STOKER_TLS_CERTIFICATE={tmp_path / certificate}.pem", f"STOKER_TLS_KEY={tmp_path / key}.key")

    answer = run("env", *pair, *PROGRAM, "doctor", "--json")

    finding = findings(answer)["TLS"]
    assert finding["verdict"] == ("good" if says is None else "missing")
    assert (says or "") in finding["found"]
    if says is not None:
        refused = run("env", *pair, *PROGRAM, "serve")
        assert refused.returncode == 1
        assert says in refused.stderr
