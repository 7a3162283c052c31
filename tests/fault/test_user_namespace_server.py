"""A server whose machines run in user namespaces, as its users and its operator see it."""

from __future__ import annotations

import tarfile
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.harness.contexts import HEADER, make_context, run
from tests.harness.depot import Depot
from tests.harness.leftovers import leftovers
from tests.harness.server import Server
from tests.harness.waiting import eventually

LIST_MACHINES = "stoker.v1.MachineService/ListMachines"


class _Hello(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        del format, args


@pytest.fixture(scope="module")
def web_server() -> Iterator[int]:
    """The port of a web server on this host's loopback address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Hello) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def held(make_server: Callable[..., Server], **settings: str) -> Server:
    return make_server(user_namespaces="require", **settings)


def only_machine(server: Server) -> dict[str, str]:
    asked = {"organizationId": server.first["DEPOT_ORG_ID"]}
    (machine,) = server.call(LIST_MACHINES, asked).body["machines"]
    return machine


def test_builds_work_and_are_said_to_be_held_so(make_server: Callable[..., Server], tmp_path: Path) -> None:
    server = held(make_server)
    depot = Depot(server, tmp_path)
    context = make_context(tmp_path / "context", HEADER + run("cat /proc/self/uid_map; echo built"))
    first, second = depot.build(cwd=context), depot.build(cwd=context)
    assert (first.code, second.code) == (0, 0), first.output + second.output
    assert second.cached > first.cached
    machine = only_machine(server)
    assert machine["isolation"] == "user-namespace"

    context = make_context(tmp_path / "device", f"{HEADER}ADD device.tar /\n")
    device = tarfile.TarInfo("null")
    device.type, device.devmajor, device.devminor = tarfile.CHRTYPE, 1, 3
    with tarfile.open(context / "device.tar", "w") as archive:
        archive.addfile(device)
    assert depot.build(cwd=context).code != 0
    errors = server.query("select error from builds where status = 'failed'")
    assert "machines of this server can't make device nodes" in errors[0][0]
    assert 'user_namespaces = "off"' in errors[0][0]

    address = server.machines(server.project)[0]
    host, port = address.placement["host"], address.port
    context = make_context(tmp_path / "probe", HEADER + run(f"nc -w 2 {host} {port} </dev/null && echo in || echo out"))
    probed = depot.build(cwd=context)
    assert probed.code == 0, probed.output
    assert " out\n" in probed.output, "steps don't reach BuildKit's port"

    server.stop()
    assert leftovers(server) == []


@pytest.mark.parametrize(("allowed", "reached"), [("", False), ("127.0.0.0/8", True)])
def test_buildkit_reaches_the_hosts_loopback_address_where_that_is_allowed(
    make_server: Callable[..., Server],
    web_server: int,
    tmp_path: Path,
    allowed: str,
    reached: bool,
) -> None:
    server = held(make_server, **({"allowed_networks": allowed} if allowed else {}))
    depot = Depot(server, tmp_path)
    context = make_context(
        tmp_path / "context",
        f"{HEADER}ADD http://127.0.0.1:{web_server}/hello /hello\n" + run("cat /hello"),
    )
    built = depot.build(cwd=context)
    assert (built.code == 0) == reached, built.output
    # Steps have a loopback address of their own, and are not let through to the host's in any case.
    probe = run(f"wget -q -O - http://{server.machines(server.project)[0].placement['host']}:1/ || echo refused")
    probed = depot.build(cwd=make_context(tmp_path / "probe", HEADER + probe))
    assert " refused\n" in probed.output, probed.output


def test_a_killed_server_gives_ranges_and_networks_back(make_server: Callable[..., Server], tmp_path: Path) -> None:
    server = held(make_server)
    depot = Depot(server, tmp_path)
    context = make_context(tmp_path / "context", HEADER + run("echo built"))
    assert depot.build(cwd=context).code == 0
    server.kill_everything()
    server.start()
    assert depot.build(cwd=context).code == 0
    server.stop()
    eventually(lambda: leftovers(server) == [], "nothing is left")
    taken = [file for file in Path("/run/stoker/ids").iterdir() if str(server.data) in file.read_text()]
    assert [file for file in taken if Path(file.read_text()).exists()] == []
