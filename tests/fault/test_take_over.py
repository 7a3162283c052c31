"""A server whose supervisor was killed is started again, and nobody notices: no call is refused, none fails."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.harness.contexts import HEADER, make_context, run
from tests.harness.depot import Depot
from tests.harness.leftovers import leftovers
from tests.harness.server import Server
from tests.harness.waiting import eventually
from tests.harness.waiting_step import WAIT, end_waiting_steps

BUILDS = "depot.build.v1.BuildService"
CLI = "depot.cli.v1.BuildService"
PROJECTS = "depot.core.v1.ProjectService"
TOOK_OVER = "took over the API of a server that was killed"


@pytest.fixture
def own(make_server: Callable[..., Server]) -> Server:
    return make_server(metrics="127.0.0.1:0")


class Callers:
    """Clients that call the API again and again, on a connection that they keep or on new ones."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._call, args=(keeps,)) for keeps in (True, True, False, False)]
        self.calls = 0
        self.failures: list[str] = []

    @contextmanager
    def calling(self) -> Iterator[None]:
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in self._threads:
                thread.join(60)

    def _call(self, keeps: bool) -> None:
        connection = self._connection()
        while not self._over.is_set():
            try:
                project = {"projectId": self._server.project}
                self._answer(connection, f"{PROJECTS}/GetProject", project)
                build = self._answer(connection, f"{BUILDS}/CreateBuild", project)["buildId"]
                self._answer(connection, f"{BUILDS}/FinishBuild", {"buildId": build, "success": {}})
            except (OSError, http.client.HTTPException, AssertionError) as error:
                self.failures.append(f"{'kept' if keeps else 'new'} connection: {error!r}")
            if not keeps:
                connection.close()
                connection = self._connection()
            self._over.wait(0.01)
        connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self._server.url.removeprefix("http://"), timeout=30)

    def _answer(self, connection: http.client.HTTPConnection, method: str, request: object) -> dict[str, str]:
        headers = {"content-type": "application/json", "authorization": f"Bearer {self._server.token}"}
        connection.request("POST", f"/{method}", json.dumps(request), headers)
        response = connection.getresponse()
        body = response.read()
        assert response.status == 200, body
        self.calls += 1
        return json.loads(body)


def kill_supervisor(server: Server) -> None:
    assert server.process is not None
    server.process.kill()
    server.process.wait(10)


def is_running(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    return True


def apis_of(server: Server) -> list[int]:
    """The API processes of a server."""
    found = subprocess.run(["pgrep", "-f", f"{server.data}/run/api-envoy.json"], capture_output=True, check=False)
    return [int(line) for line in found.stdout.split()]


def start_in_vain(server: Server) -> None:
    with pytest.raises(AssertionError, match="the server ended"):
        server.start()


def test_no_call_is_refused_or_fails_at_a_take_over(own: Server, tmp_path: Path) -> None:
    depot = Depot(own, tmp_path)
    context = make_context(tmp_path / "context", HEADER + run(f"echo begun; {WAIT}; echo done"))
    hello = make_context(tmp_path / "hello", HEADER + run("echo hello"))
    building = depot.begin(cwd=context, until=" begun")
    machines = set(own.machine_processes())
    callers = Callers(own)
    old: list[int] = []
    with callers.calling():
        for _ in range(2):
            old.append(own.part("api"))
            kill_supervisor(own)
            begun = callers.calls
            starting = threading.Thread(target=own.start)
            starting.start()
            # New builds go on all the time.
            built = depot.build("--no-cache", cwd=hello)
            assert built.code == 0, built.output
            starting.join(120)
            assert TOOK_OVER in own.output
            assert own.part("api") not in old
            eventually(lambda begun=begun: callers.calls > begun + 20, "calls are answered")
        eventually(lambda: not any(map(is_running, old)), "the old ones have ended")
        end_waiting_steps(own)
        output, _ = building.communicate(timeout=120)
    assert callers.failures == [], callers.calls
    assert building.returncode == 0, output
    statuses = {status for _, status, _ in own.builds()}
    assert statuses <= {"succeeded", "running"}, own.builds()
    eventually(lambda: {status for _, status, _ in own.builds()} == {"succeeded"}, "all builds end well")
    assert set(own.machine_processes()) == machines, "machines were adopted"
    own.stop()
    assert leftovers(own) == []


def test_the_old_api_goes_on_when_the_take_over_comes_to_nothing(own: Server, tmp_path: Path) -> None:
    api = own.part("api")
    kill_supervisor(own)
    # A supervisor that dies in the middle of its start, just after the old API has handed its work over.
    log = own.data / "logs" / "api.log"
    starting = threading.Thread(target=start_in_vain, args=(own,))
    starting.start()
    eventually(lambda: "another process takes the work over" in log.read_text(), "the work is handed over")
    kill_supervisor(own)
    starting.join(120)

    context = make_context(tmp_path / "context", HEADER + run("echo hello"))
    built = Depot(own, tmp_path).build(cwd=context)

    assert built.code == 0, built.output
    own.start()
    assert TOOK_OVER in own.output
    eventually(lambda: not is_running(api), "the first API has ended")
    again = Depot(own, tmp_path).build(cwd=context)
    assert (again.code, again.cached) == (0, 2), again.output


def test_a_supervisor_that_dies_while_the_new_api_starts_leaves_nothing_behind(own: Server, tmp_path: Path) -> None:
    first = own.part("api")
    kill_supervisor(own)
    starting = threading.Thread(target=start_in_vain, args=(own,))
    starting.start()
    eventually(lambda: own.part("api") != first, "a new API is started")
    kill_supervisor(own)
    starting.join(120)

    own.start()

    assert own.answers()
    eventually(lambda: not is_running(first), "the first API has ended")
    eventually(lambda: apis_of(own) == [own.part("api")], "one API is there")
    context = make_context(tmp_path / "context", HEADER + run("echo hello"))
    built = Depot(own, tmp_path).build(cwd=context)
    assert built.code == 0, built.output


def test_an_api_that_cannot_be_replaced_is_ended_and_one_that_dies_early_is_started_again(own: Server) -> None:
    first = own.part("api")
    (own.data / "run" / "api.epoch").unlink()
    kill_supervisor(own)
    own.start()
    assert "ended the api of a server that was killed" in own.output
    eventually(lambda: not is_running(first), "the first API has ended")
    second = own.part("api")
    kill_supervisor(own)
    own.start()
    os.kill(own.part("api"), signal.SIGKILL)
    eventually(lambda: "the API is back" in own.output, "the API is back")
    eventually(lambda: not is_running(second), "the second API, which would keep the port, has ended")
    assert own.answers()
