"""The program that a machine runs for each step is a program, not a script that looks for one."""

from __future__ import annotations

import re
from pathlib import Path

from tests.harness.contexts import HEADER, make_context, run
from tests.harness.depot import Depot
from tests.harness.server import Server


def test_steps_are_checked_by_the_servers_own_python(server: Server, depot: Depot, tmp_path: Path) -> None:
    built = depot.build(cwd=make_context(tmp_path / "context", HEADER + run("echo checked")))
    assert built.code == 0, built.output
    machine, *_ = server.machines(server.project)
    script = (server.data / "machines" / machine.id / "container-runtime").read_text()
    (check,) = re.findall(r"^(\S+) -I -S ", script, re.MULTILINE)
    assert Path(check).read_bytes()[:4] == b"\x7fELF", check
