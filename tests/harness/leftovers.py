"""What is on this host of one server: processes, mounts, networks, firewall, cgroups, sockets."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

from tests.harness.server import Server


def cgroups_below(start: str) -> list[Path]:
    """Groups whose path has a part that begins so, in any hierarchy, parents first.

    Groups of others come and go meanwhile, which `Path.glob` doesn't bear.
    """
    return [Path(folder) for folder, _, _ in os.walk("/sys/fs/cgroup") if f"/{start}" in folder]


def _output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _processes(data: Path) -> list[str]:
    found: list[str] = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if f"{data}/" in line or line.rstrip().endswith(str(data)):
                found.append(f"process {folder.name}: {line[:120]}")
    return found


def _loop_devices(data: Path) -> list[str]:
    """Devices of files in a folder that this namespace has mounted, or that stay when nobody has.

    Another server's machine may have a copy of a mount, where the host's mounts are private, and keeps the device busy
    until it ends.
    """
    mounted = {line.split()[0] for line in Path("/proc/mounts").read_text().splitlines()}
    found: list[str] = []
    for file in Path("/sys/block").glob("loop*/loop/backing_file"):
        try:
            backing, goes = file.read_text().strip(), (file.parent / "autoclear").read_text().strip() == "1"
        except OSError:
            continue
        if str(data) in backing and (not goes or f"/dev/{file.parts[3]}" in mounted):
            found.append(f"loop device of {backing}")
    return found


def leftovers(server: Server) -> list[str]:
    """Everything of a server that the host still has, apart from its files on disk."""
    server_id = server.query("select value from facts where name = 'server_id'")[0][0]
    found = _processes(server.data)
    found += [
        f"mount {line.split()[1]}" for line in Path("/proc/mounts").read_text().splitlines() if str(server.data) in line
    ]
    found += _loop_devices(server.data)
    links = json.loads(_output("ip", "-j", "link"))
    found += [f"link {link['ifname']}" for link in links if f"stoker/{server_id}" in link.get("ifalias", "")]
    found += [f"nft {line}" for line in _output("nft", "list", "tables").splitlines() if server_id in line]
    found += [f"cgroup {path}" for path in cgroups_below(f"stoker/{server_id}")]
    found += [f"socket {path}" for path in server.data.rglob("*.sock")]
    found += [f"machine files {path}" for path in (server.data / "machines").glob("*")]
    found += [f"certificate {path}" for path in (server.data / "pki" / "machine").glob("*")]
    return found


def unknown_volumes(server: Server) -> set[str]:
    """Volumes on the disk of a server that runs which its database doesn't know."""
    known = {row[0] for row in server.query("select id from volumes where state <> 'deleted'")}
    return {path.name for path in (server.data / "volumes").iterdir() if not path.name.startswith(".")} - known


def connections_to(server: Server) -> list[str]:
    """Established connections of others to the API of a server that runs."""
    port = urlsplit(server.url).port
    return _output("ss", "-Htn", "state", "established", f"( sport = :{port} )").splitlines()
