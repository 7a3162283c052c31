"""Asks a folder's binaries for their versions."""

from __future__ import annotations

import asyncio
import os
import re
from typing import TYPE_CHECKING

from stoker.engine.failures import EngineUnavailable
from stoker.engine.floor import require_floor
from stoker.engine.installed import BINARIES
from stoker.engine.pin import architecture

if TYPE_CHECKING:
    from pathlib import Path

_ANSWER_SECONDS = 20.0
_ELF_MACHINES = {"amd64": 62, "arm64": 183}
_SAID = re.compile(r"^(buildkitd|buildctl) \S+ (\S+)")


async def checked_version(folder: Path) -> str:
    """The version that both binaries in ``folder`` say they have, which is at least the floor.

    Raises:
        EngineUnavailable: a binary is missing, doesn't run, is too old, or is not of one version with the other.
    """
    versions: list[str] = []
    for name in BINARIES:
        version = await _version(folder / name)
        require_floor(version, str(folder / name))
        versions.append(version)
    if len(set(versions)) != 1:
        raise EngineUnavailable(
            f"{folder} has buildkitd {versions[0]} and buildctl {versions[1]}; both must be of one version"
        )
    return versions[0]


async def _version(binary: Path) -> str:
    try:
        await asyncio.to_thread(_require_own_architecture, binary)
        process = await asyncio.create_subprocess_exec(
            binary,
            "--version",
            env={"PATH": os.defpath},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError as error:
        raise EngineUnavailable(
            f"{binary} can't be run ({error.strerror}); give a folder with both binaries"
        ) from error
    try:
        output, _ = await asyncio.wait_for(process.communicate(), _ANSWER_SECONDS)
    except TimeoutError as error:
        raise EngineUnavailable(f"{binary} --version gave no answer in {_ANSWER_SECONDS:.0f} s; try again") from error
    finally:
        if process.returncode is None:
            process.kill()
    said = _SAID.match(output.decode(errors="replace"))
    if process.returncode != 0 or said is None or said[1] != binary.name:
        raise EngineUnavailable(f"{binary} does not answer --version like BuildKit; give a folder with its binaries")
    return said[2]


def _require_own_architecture(binary: Path) -> None:
    """Refuse what would run only emulated: the kernel may run it, ten times slower.

    Raises:
        EngineUnavailable: it is of another architecture.
        OSError: it can't be read.
    """
    with binary.open("rb") as file:
        header = file.read(20)
    machine = int.from_bytes(header[18:20], "little")
    if header.startswith(b"\x7fELF") and machine != _ELF_MACHINES[architecture()]:
        raise EngineUnavailable(f"{binary} is not for this machine; get the one for linux-{architecture()}")
