"""The real depot CLI, from the npm package."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.harness.environment import plain_environment
from tests.harness.server import Server
from tests.harness.terminal import Terminal

NODE_MODULES = Path(__file__).parents[1] / "clients" / "node" / "node_modules"


def depot_binary() -> Path:
    architecture = {"x86_64": "x64", "aarch64": "arm64"}[platform.machine()]
    binary = NODE_MODULES / "@depot" / f"cli-linux-{architecture}" / "bin" / "depot"
    assert binary.exists(), f"{binary} is missing; run `make test`, which installs it"
    return binary


@dataclass
class Result:
    """What a command printed, and its exit code."""

    code: int
    output: str

    @property
    def cached(self) -> int:
        return self.output.count(" CACHED\n")


def depot_environment(server: Server, home: Path, project: str | None = None) -> dict[str, str]:
    """The variables of the bootstrap file, and a home of its own."""
    return {
        **plain_environment(),
        **server.first,
        "DEPOT_PROJECT_ID": project or server.project,
        "DEPOT_ERROR_TELEMETRY": "0",
        "DEPOT_NO_UPDATE_NOTIFIER": "1",
        "DEPOT_DISABLE_OTEL": "1",
        "DOCKER_HOST": "unix:///nonexistent/docker.sock",
        "HOME": str(home),
    }


@dataclass
class Depot:
    """Runs `depot` against a server."""

    server: Server
    home: Path

    def popen(self, *arguments: str, cwd: Path, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(depot_binary()), *arguments],
            cwd=cwd,
            env=depot_environment(self.server, self.home) | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )

    def __call__(self, *arguments: str, cwd: Path, **environment: str) -> Result:
        process = self.popen(*arguments, cwd=cwd, **environment)
        output, _ = process.communicate(timeout=180)
        return Result(process.returncode, output)

    @contextmanager
    def terminals(self) -> Generator[Callable[..., Terminal]]:
        """Run it in terminals, with arguments and variables as for ``popen``; what still runs at the end is ended."""
        opened: list[Terminal] = []

        def start(*arguments: str, cwd: Path | None = None, **environment: str) -> Terminal:
            own = depot_environment(self.server, self.home) | environment
            opened.append(Terminal([str(depot_binary()), *arguments], cwd=cwd or self.home, environment=own))
            return opened[-1]

        try:
            yield start
        finally:
            for one in opened:
                one.close()

    def begin(self, *arguments: str, cwd: Path, until: str, **environment: str) -> subprocess.Popen[str]:
        """Start a build and return when one of its lines ends with ``until``."""
        process = self.popen("build", "--progress", "plain", *arguments, ".", cwd=cwd, **environment)
        assert process.stdout is not None
        said: list[str] = []
        for line in process.stdout:
            said.append(line)
            if line.rstrip().endswith(until):
                return process
        raise AssertionError(f"the build ended before it said {until!r}: {''.join(said)}")

    def build(self, *arguments: str, cwd: Path, **environment: str) -> Result:
        return self("build", "--progress", "plain", *arguments, ".", cwd=cwd, **environment)
