"""How fast the page of a large build opens, from the server and in a browser, and a part of a long log."""

from __future__ import annotations

import threading
import time
import urllib.request
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from bench.browsing import compare_browsing
from bench.measure import Alternative, Comparison, bounded_rounds, compare
from bench.stack import BenchmarkFailed, Stack, running_stack
from tests.harness.large_record import write_large_record

_STEPS = 2000
_LINES = 100_000
_FEW_STEPS = 10
_STATIC = "the same bytes, static"
_PARTS = {"Page": "", "Last part of the longest log": "/steps/1", "Log": "/steps/1/log.txt"}


def compare_pages(rounds: int, seconds: float) -> list[Comparison]:
    """A build of 2,000 steps and 100,000 lines: its page, the last part of its longest log, and all of that log."""
    share = seconds / (len(_PARTS) + 1)
    with running_stack() as stack:
        large = _shared(stack, write_large_record(stack.server, _STEPS, _LINES))
        small = _shared(stack, write_large_record(stack.server, _FEW_STEPS, _FEW_STEPS))
        found: list[Comparison] = []
        for what, path in _PARTS.items():
            content = _get(large + path)
            with _static(content) as static:
                found.append(
                    compare(
                        f"{what} of a build of {_STEPS} steps and {_LINES} lines, {len(content) / 1000:.0f} kB",
                        [Alternative("stoker", _timed(large + path)), Alternative(_STATIC, _timed(static))],
                        against=_STATIC,
                        rounds=bounded_rounds(rounds, share),
                    )
                )
        return found + compare_browsing(stack, large, small, (_STEPS, _FEW_STEPS), rounds, share)


def _shared(stack: Stack, build: str) -> str:
    """The address of a build's page for everybody."""
    shared = stack.server.call("depot.core.v1.BuildService/ShareBuild", {"buildId": build})
    if shared.status != 200:
        raise BenchmarkFailed(f"the build can't be shared: {shared.message}")
    ((share,),) = stack.server.query("select share_id from build_shares where build_id = ?", build)
    return f"{stack.server.url}/share/{share}"


def _get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310
        return answer.read()


def _timed(url: str) -> Callable[[], float]:
    def once() -> float:
        began = time.perf_counter()
        _get(url)
        return time.perf_counter() - began

    return once


@contextmanager
def _static(content: bytes) -> Generator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Static, content))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Static(BaseHTTPRequestHandler):
    """Answers everything with the same bytes."""

    def __init__(self, content: bytes, *args: object, **kwargs: object) -> None:
        self._content = content
        super().__init__(*args, **kwargs)  # pyright: ignore[reportArgumentType, reportCallIssue]

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-length", str(len(self._content)))
        self.end_headers()
        self.wfile.write(self._content)

    def log_message(self, *_: object) -> None: ...
