"""Which runc a server uses: the host's when it has no known holes, else one that is built, or the operator's."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stoker.engine import NotBuiltYet, Phase, build_runc, find_container_runtime
from tests.harness.environment import plain_environment

DOCTOR = (sys.executable, "-m", "stoker.cli.main", "doctor", "--json")
GO_MOD = """module stoker.invalid/engine/runc

go 1.24

tool github.com/opencontainers/runc

require github.com/opencontainers/runc v1.5.9 // indirect

replace github.com/opencontainers/runc => ./runc
"""
PROGRAM = 'package main\n\n// int five() { return 5; }\nimport "C"\n\nfunc main() { println(C.five()) }\n'


class Told:
    def __init__(self) -> None:
        self.phases: list[Phase] = []

    def report(self, phase: Phase, done: int, total: int | None) -> None:
        self.phases.append(phase)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder for programs, which comes first in PATH."""
    made = tmp_path / "bin"
    made.mkdir()
    return made


def program(path: Path, says: str) -> Path:
    path.write_text(f"#!/bin/sh\nprintf '%s\\n' '{says}'\n")
    path.chmod(0o755)
    return path


def doctor(tmp_path: Path, path: str, **settings: str) -> dict[str, str]:
    environment = {**plain_environment(), "HOME": str(tmp_path), "PATH": path, **settings}
    flags = ("--data", str(tmp_path / "data"), "--listen", "127.0.0.1:0", "--gateway", "127.0.0.1:0")
    done = subprocess.run([*DOCTOR, *flags], env=environment, capture_output=True, text=True, check=False, timeout=60)
    found = {finding["subject"]: finding for finding in json.loads(done.stdout)["findings"]}
    return found["container runtime"]


def test_doctor_judges_the_hosts_runc(folder: Path, tmp_path: Path) -> None:
    path = f"{folder}:{os.environ['PATH']}"
    program(folder / "runc", "runc version 1.1.15+ds1")
    unfit = doctor(tmp_path, path)
    assert unfit["verdict"] == "good"
    assert "runc 1.1.15 has known holes (CVE-2025-31133, CVE-2025-52565, CVE-2025-52881)" in unfit["found"]
    assert "the first `stoker serve` builds runc" in unfit["found"]
    program(folder / "runc", "runc version 1.3.3-0ubuntu1~24.04.2")
    fit = doctor(tmp_path, path)
    assert (fit["verdict"], fit["found"]) == ("good", f"runc 1.3.3, this host's, {folder}/runc")
    given = program(tmp_path / "mine", "runc version 1.1.5")
    chosen = doctor(tmp_path, path, STOKER_CONTAINER_RUNTIME=str(given))
    assert chosen["verdict"] == "weaker"
    assert "CVE-2025-31133" in chosen["advice"]
    broken = doctor(tmp_path, path, STOKER_CONTAINER_RUNTIME="/bin/true")
    assert broken["verdict"] == "missing"


def test_doctor_says_what_is_missing_to_build_one(folder: Path, tmp_path: Path) -> None:
    program(folder / "runc", "runc version 1.1.5+ds1")
    for name in ("unshare", "nsenter", "nft", "ip", "mount", "mkdir", "cat", "btrfs", "mkfs.btrfs"):
        found = shutil.which(name)
        if found is not None:
            (folder / name).symlink_to(found)

    lacking = doctor(tmp_path, str(folder))

    assert lacking["verdict"] == "missing"
    assert "no cc and no pkg-config to build runc with" in lacking["found"]
    assert lacking["advice"] == "install gcc, libc6-dev, pkg-config and libseccomp-dev"


async def test_runc_is_built_once(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("runc", "crun"):
        program(folder / name, f"{name} version 1.1.5")
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    module = tmp_path / "module"
    (module / "runc").mkdir(parents=True)
    (module / "go.mod").write_text(GO_MOD)
    (module / "runc" / "go.mod").write_text("module github.com/opencontainers/runc\n\ngo 1.24\n")
    (module / "runc" / "main.go").write_text(
        PROGRAM.replace("println(C.five())", 'os.Stdout.WriteString("runc version 1.5.9\\n"); _ = C.five()').replace(
            'import "C"', 'import "C"\nimport "os"'
        )
    )
    cache, told = tmp_path / "cache", Told()
    with pytest.raises(NotBuiltYet) as none:
        find_container_runtime(cache, module=module)
    assert none.value.why.startswith("this host's runc 1.1.5 has known holes (CVE-2025-31133")

    built = await build_runc(cache, told, module=module)

    assert (built.version.name, built.version.holes, built.origin.value) == ("runc 1.5.9", (), "built here")
    assert Phase.COMPILING_RUNC in told.phases
    assert find_container_runtime(cache, module=module) == built
    again = Told()
    assert await build_runc(cache, again, module=module) == built
    assert Phase.COMPILING_RUNC not in again.phases
    assert not list((cache / "container-runtime").glob("unfinished-*"))
    with built.program.open("ab") as changed:
        changed.write(b"x")
    with pytest.raises(NotBuiltYet):
        find_container_runtime(cache, module=module)
