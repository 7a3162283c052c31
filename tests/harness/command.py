"""The `stoker` command, run as a user runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.harness.depot import Result
from tests.harness.environment import plain_environment
from tests.harness.terminal import Terminal


@dataclass(frozen=True)
class Said:
    """What a command printed where, and its exit code."""

    code: int
    stdout: str
    stderr: str

    @property
    def lines(self) -> list[str]:
        return self.stdout.splitlines()

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)


@dataclass
class Command:
    """Runs `stoker` with an environment of its own, in which no setting is given but those named here."""

    home: Path
    environment: dict[str, str] = field(default_factory=dict[str, str])

    def popen(self, *arguments: str, cwd: Path | None = None, **environment: str) -> subprocess.Popen[str]:
        """Start it in a process group of its own, as a shell does; stdout and stderr come together."""
        return subprocess.Popen(
            self._line(arguments),
            cwd=cwd or self.home,
            env=self._environment(environment),
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

    def apart(self, *arguments: str, cwd: Path | None = None, **environment: str) -> Said:
        """Run it as a part of a pipe: no terminal, stdout and stderr apart."""
        done = subprocess.run(
            self._line(arguments),
            cwd=cwd or self.home,
            env=self._environment(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        return Said(done.returncode, done.stdout, done.stderr)

    def terminal(self, *arguments: str, columns: int = 120, **environment: str) -> Terminal:
        """Run it in a terminal."""
        own = self._environment(environment)
        return Terminal(self._line(arguments), cwd=self.home, environment=own, columns=columns)

    def _line(self, arguments: tuple[str, ...]) -> list[str]:
        return [sys.executable, "-m", "stoker.cli.main", *arguments]

    def _environment(self, more: dict[str, str]) -> dict[str, str]:
        return {**plain_environment(), "HOME": str(self.home), **self.environment, **more}
