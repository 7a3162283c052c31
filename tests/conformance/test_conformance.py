"""The official Connect conformance suite against our server stack.

The suite starts `tests.conformance.server` for each kind of server (protocol, version of HTTP, TLS), and its reference
client calls it. `features.yaml` says what we speak; `known-failing.txt` what fails, and why.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.harness.go_tools import CONFORMANCE, go_source, go_tool

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PACKAGE = "conformance_protos"
TEMPLATE = """
version: v2
plugins:
  - {local: protoc-gen-py, out: PACKAGE}
  - {local: protoc-gen-connectrpc, out: PACKAGE}
""".replace("PACKAGE", PACKAGE)


@pytest.fixture(scope="module")
def protos(cache: Path) -> Path:
    """The folder with the suite's messages and service as a Python package, generated once for each version."""
    versions = (HERE.parents[1] / "requirements-dev.lock").read_text()
    generators = re.findall(r"^protoc-gen-(?:py|connectrpc)==(\S+)", versions, re.MULTILINE)
    kept = cache / "tests" / "-".join(["conformance-protos", CONFORMANCE.version, *generators])
    if kept.exists():
        return kept
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kept.parent) as name:
        (Path(name) / "buf.gen.yaml").write_text(TEMPLATE)
        command = ["buf", "generate", str(go_source(CONFORMANCE, cache) / "proto"), "--template", "buf.gen.yaml"]
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        subprocess.run([*command, "--output", "made"], cwd=name, env={**os.environ, "PATH": path}, check=True)
        (Path(name) / "made").rename(kept)
    return kept


@pytest.mark.timeout(900)  # the first run builds the suite
def test_the_suite_passes(cache: Path, protos: Path) -> None:
    suite = go_tool(CONFORMANCE, cache)
    command = [str(suite), "--mode", "server", "--conf", str(HERE / "features.yaml")]
    command += ["--known-failing", f"@{HERE / 'known-failing.txt'}"]
    # Cases have deadlines of their own; on a busy host, four servers at once run into them.
    command += ["--max-servers", "2", "--parallel", "4"]

    done = subprocess.run(
        [*command, "--", sys.executable, "-m", "tests.conformance.server"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(protos)])},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    said = done.stdout + done.stderr
    assert done.returncode == 0, [line for line in said.splitlines() if "FAILED" in line][:50] or said[-8000:]
    counted = re.search(r"^(\d+) passed, 0 failed", done.stdout + done.stderr, re.MULTILINE)
    assert counted is not None
    assert int(counted[1]) >= 3800, "the suite found fewer cases for our features than it has"
