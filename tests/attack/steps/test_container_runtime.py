"""The container runtime covers files of /proc whatever stands at /dev/null, without the check before it."""

from __future__ import annotations

import json
import secrets
import shutil
import subprocess
from typing import TYPE_CHECKING

from stoker.runtimes.process.engine.emulation import native_platform
from tests.harness.contexts import busybox

if TYPE_CHECKING:
    from pathlib import Path

    from stoker.engine import ContainerRuntime

COVERED = "/proc/interrupts"
READ = f"cat {COVERED} && echo read"


def config(dev: Path) -> dict[str, object]:
    return {
        "ociVersion": "1.0.2",
        "process": {"user": {"uid": 0, "gid": 0}, "args": ["/bin/sh", "-c", READ], "env": ["PATH=/bin"], "cwd": "/"},
        "root": {"path": "rootfs"},
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "bind", "source": str(dev), "options": ["rbind", "rw"]},
        ],
        "linux": {
            "namespaces": [{"type": kind} for kind in ("pid", "ipc", "uts", "mount", "network")],
            "maskedPaths": [COVERED],
        },
    }


def test_a_link_at_dev_null_uncovers_nothing(container_runtime: ContainerRuntime, tmp_path: Path) -> None:
    program = tmp_path / "rootfs" / "bin" / "sh"
    program.parent.mkdir(parents=True)
    shutil.copy(busybox(native_platform().architecture), program)
    program.with_name("cat").symlink_to("sh")
    dev = tmp_path / "dev"
    dev.mkdir()
    for link in ("/proc/stat", "/proc/version"):
        (dev / "null").unlink(missing_ok=True)
        (dev / "null").symlink_to(link)
        (tmp_path / "config.json").write_text(json.dumps(config(dev)))

        command = [str(container_runtime.program), "--root", str(tmp_path / "state"), "run", "--bundle", str(tmp_path)]
        done = subprocess.run(
            [*command, f"test{secrets.token_hex(4)}"], capture_output=True, text=True, check=False, timeout=60
        )

        assert "read" not in done.stdout.splitlines()
        assert "Linux version" not in done.stdout
        assert "procs_running" not in done.stdout
