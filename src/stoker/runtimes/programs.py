"""Run the host's own programs."""

from __future__ import annotations

import shutil
import subprocess

from stoker.runtimes.errors import HostUnfit, RuntimeFailed

_SYSTEM_FOLDERS = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
COMMAND_SECONDS = 30.0


def find_program(*names: str, package: str) -> str:
    """The path of the first of ``names`` that is there.

    Raises:
        HostUnfit: none is; the text names the package that has it.
    """
    for name in names:
        # Many users' PATH lacks the sbin folders, where most of these programs are.
        path = shutil.which(name) or shutil.which(name, path=_SYSTEM_FOLDERS)
        if path is not None:
            return path
    raise HostUnfit(f"{' or '.join(names)} is missing; install the package {package}")


def run(
    command: list[str], script: str = "", seconds: float | None = COMMAND_SECONDS
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, and return its result and output. There is no deadline when ``seconds`` is None.

    Raises:
        RuntimeFailed: it is missing or did not end in time.
    """
    try:
        return subprocess.run(command, input=script, capture_output=True, text=True, check=False, timeout=seconds)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RuntimeFailed(f"{command[0]}: {error}") from error


def last_line(text: str) -> str:
    """The last line with something on it, for a message of one line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"
