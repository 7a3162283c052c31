"""The `stoker` command, run as a user runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from tests.harness.depot import Result


@dataclass
class Command:
    """Runs `stoker` with an environment of its own, in which no setting is given but those named here."""

    home: Path
    environment: dict[str, str] = field(default_factory=dict[str, str])

    def popen(self, *arguments: str, cwd: Path | None = None, **environment: str) -> subprocess.Popen[str]:
        """Start it in a process group of its own, as a shell does; stdout and stderr come together."""
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith(("DEPOT_", "STOKER_", "XDG_"))
        }
        return subprocess.Popen(
            [sys.executable, "-m", "stoker.cli.main", *arguments],
            cwd=cwd or self.home,
            env={**inherited, "HOME": str(self.home), **self.environment, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def __call__(self, *arguments: str, cwd: Path | None = None, **environment: str) -> Result:
        process = self.popen(*arguments, cwd=cwd, **environment)
        output, _ = process.communicate(timeout=180)
        return Result(process.returncode, output)
