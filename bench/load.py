"""Load from h2load (Debian's nghttp2-client): one call again and again, by so many callers at once, over HTTP/2."""

from __future__ import annotations

import re
import statistics
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bench.stack import BenchmarkFailed

_MAX_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Call:
    """What is called: a method, its body, and who calls."""

    url: str
    method: str
    body: bytes
    token: str | None = None
    content_type: str = "application/json"


@dataclass(frozen=True, slots=True)
class Load:
    """What came of it: calls per second, and the time that 99 of 100 calls stayed below, in seconds."""

    rate: float
    p99: float


def call_for(call: Call, seconds: float, callers: int) -> Load:
    """Call as fast as answers come, each caller on a connection of its own.

    Raises:
        BenchmarkFailed: a call failed.
    """
    with tempfile.TemporaryDirectory(prefix="stoker-load-") as name:
        body, log = Path(name) / "body", Path(name) / "log"
        body.write_bytes(call.body)
        command = ["h2load", f"--duration={seconds:g}", "--warm-up-time=1", f"--clients={callers}", "--threads=1"]
        command += [f"--data={body}", f"--log-file={log}", f"--header=content-type: {call.content_type}"]
        if call.token is not None:
            # h2load takes headers from its command line alone; the token ends with the benchmark's own server.
            command.append(f"--header=authorization: Bearer {call.token}")
        done = subprocess.run(
            [*command, f"{call.url}/{call.method}"], capture_output=True, text=True, timeout=_MAX_SECONDS, check=False
        )
        found = re.search(r"status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", done.stdout)
        if done.returncode != 0 or found is None or any(int(count) for count in found.groups()[1:]):
            raise BenchmarkFailed(f"{call.method}: {done.stdout[-1500:]}{done.stderr[-500:]}")
        rate = re.search(r"finished in [\d.]+s, ([\d.]+) req/s", done.stdout)
        times = [int(line.split("\t")[2]) for line in log.read_text().splitlines()]
    if rate is None or len(times) < 100:
        raise BenchmarkFailed(f"{call.method}: too few calls: {done.stdout[-1500:]}")
    return Load(float(rate[1]), statistics.quantiles(times, n=100)[98] / 1e6)
