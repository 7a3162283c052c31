"""Attacks by what a step of a build does, which are made with buildctl as any client would."""

from __future__ import annotations

import asyncio
import re
import subprocess
from pathlib import Path

from tests.attack.framework.attack import Attacker

_STOP_SECONDS = 20.0


async def build(attacker: Attacker, context: Path, *arguments: str) -> tuple[bool, str]:
    """Build until it ends or the attack is over; whether it was built, and what the client printed."""
    given = attacker.given
    folder = given["folder"]
    command = [given["buildctl"], "--addr", given["address"], "--tlsservername", given["server_name"]]
    command += [f"--tlscacert={folder}/ca.pem", f"--tlscert={folder}/cert.pem", f"--tlskey={folder}/key.pem"]
    command += ["build", "--frontend=dockerfile.v0", "--progress=plain", "--no-cache"]
    command += [f"--local=context={context}", f"--local=dockerfile={context}", *arguments]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    talking = asyncio.create_task(process.communicate())
    holding = asyncio.create_task(attacker.hold())
    await asyncio.wait({talking, holding}, return_when=asyncio.FIRST_COMPLETED)
    holding.cancel()
    if process.returncode is None and not talking.done():
        process.terminate()
    try:
        output, _ = await asyncio.wait_for(talking, _STOP_SECONDS)
    except TimeoutError:
        process.kill()
        raise
    return process.returncode == 0, output.decode(errors="replace")


def last_said(output: str) -> str:
    """The last line that a step printed."""
    lines = re.findall(r"^#\d+ \d+\.\d+ (.*)$", output, re.MULTILINE)
    return lines[-1] if lines else "nothing"
