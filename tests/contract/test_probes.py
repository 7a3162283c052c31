"""Health endpoints: they say yes or no to everybody, and no while the server stops."""

from __future__ import annotations

import http.client
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness.contexts import HEADER, make_context, run
from tests.harness.depot import Depot
from tests.harness.server import Server
from tests.harness.waiting import eventually
from tests.harness.waiting_step import WAIT, end_waiting_steps

CHECK = "grpc.health.v1.Health/Check"


def ask(server: Server, path: str, method: str = "GET") -> tuple[int, bytes, dict[str, str]]:
    """The status, the body and the headers of an answer to a request without credentials."""
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=10)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, response.read(), {name.lower(): value for name, value in response.getheaders()}
    finally:
        connection.close()


@pytest.mark.parametrize(("path", "body"), [("/healthz", b"ok\n"), ("/readyz", b"ready\n")])
def test_a_server_that_serves_says_so_and_nothing_else(server: Server, path: str, body: bytes) -> None:
    status, said, headers = ask(server, path)
    assert (status, said) == (200, body)
    assert (headers["cache-control"], headers["content-type"]) == ("no-store", "text/plain; charset=utf-8")
    assert set(headers) <= {"cache-control", "content-type", "content-length", "date", "server"}
    assert ask(server, path, "HEAD")[:2] == (200, b"")
    status, _, headers = ask(server, path, "POST")
    assert (status, headers["allow"]) == (405, "GET, HEAD")
    assert ask(server, f"{path}/more")[0] == 404


def test_a_server_that_stops_is_live_and_not_ready(make_server: Callable[..., Server], tmp_path: Path) -> None:
    own = make_server()
    context = make_context(tmp_path / "context", HEADER + run(f"echo begun; {WAIT}"))
    building = Depot(own, tmp_path).begin(cwd=context, until=" begun")
    assert ask(own, "/readyz")[:2] == (200, b"ready\n")
    assert own.call(CHECK, token="").body == {"status": "SERVING"}

    assert own.process is not None
    own.process.send_signal(signal.SIGINT)
    eventually(lambda: "waiting up to" in own.output, "the server waits for the build")

    assert ask(own, "/readyz")[:2] == (503, b"not ready\n")
    assert own.call(CHECK, token="").body == {"status": "NOT_SERVING"}
    assert ask(own, "/healthz")[:2] == (200, b"ok\n")
    end_waiting_steps(own)
    output, _ = building.communicate(timeout=60)
    assert building.returncode == 0, output
    assert own.process.wait(60) == 0
