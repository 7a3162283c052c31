"""Runs an attack in a process of its own, and learns what came of it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tests.attack.framework.attack import Attack, Given
from tests.harness.server import Server

_ROOT = Path(__file__).parents[3]
_GRACE_SECONDS = 60.0


@dataclass
class AttackProcess:
    """A process that makes one attack when it is told to."""

    process: subprocess.Popen[str]
    seconds: float = 0.0

    def begin(self, server: Server, given: Given, seconds: float, seed: int) -> None:
        """Let it attack for so long."""
        address = urlsplit(server.url)
        order = {"api": (address.hostname, address.port), "given": given, "seconds": seconds, "seed": seed}
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(order))
        self.process.stdin.close()
        self.process.stdin = None
        self.seconds = seconds

    def end(self) -> Counter[str]:
        """What came of it, when it has ended by itself."""
        output, errors = self.process.communicate(timeout=self.seconds + _GRACE_SECONDS)
        assert self.process.returncode == 0, f"the attacker failed: {errors[-4000:]}"
        return Counter(json.loads(output))


@contextmanager
def attack_process(attack: Attack) -> Iterator[AttackProcess]:
    """Start the process, which takes a moment, so that what comes before the attack can be done meanwhile."""
    module = attack.run.__module__
    command = [sys.executable, "-m", "tests.attack.framework.attacker", module]
    process = subprocess.Popen(
        [*command, str(sys.modules[module].ATTACKS.index(attack))],
        cwd=_ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield AttackProcess(process)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
