"""A network behind this host where nobody answers, and programs for steps without a C library."""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.harness.one_at_a_time import reserved

ADDRESS = "198.51.100.2"
"""Of those that documents use (RFC 5737), so that steps may reach it, and nobody is there."""

_HOST_SIDE = "198.51.100.1"


@contextmanager
def nowhere() -> Iterator[None]:
    """The network, in a namespace of its own, for as long as it is used."""
    with reserved("nowhere"), _nowhere():
        yield


@contextmanager
def _nowhere() -> Iterator[None]:
    name = f"stoker-{secrets.token_hex(3)}"
    outside, inside = f"{name[7:]}o", f"{name[7:]}i"
    try:
        _run("ip", "netns", "add", name)
        _run("ip", "link", "add", outside, "type", "veth", "peer", "name", inside, "netns", name)
        _run("ip", "addr", "add", f"{_HOST_SIDE}/24", "dev", outside)
        _run("ip", "link", "set", outside, "up")
        _run("ip", "-n", name, "addr", "add", f"{ADDRESS}/24", "dev", inside)
        _run("ip", "-n", name, "link", "set", inside, "up")
        yield
    finally:
        subprocess.run(["ip", "link", "del", outside], capture_output=True, check=False)
        subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


def compile_static(source: Path, program: Path) -> None:
    """Compile a program that needs nothing of the image that it runs in."""
    _run("gcc", "-O2", "-static", "-o", str(program), str(source))


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
