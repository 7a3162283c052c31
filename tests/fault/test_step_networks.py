"""What RUN steps reach, over both versions of IP: the internet, names, what an operator allows, and nothing else."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from stoker.domain.machines import Isolation
from tests.contract.machine_host import WEB_SERVER, Internet, end, internet, run, serve, write_context
from tests.harness.endpoint import EndpointFiles, get_endpoint
from tests.harness.server import Server
from tests.harness.waiting import eventually

Target = tuple[str, int]
FETCH_SECONDS = 10


@pytest.fixture(scope="module")
def net() -> Iterator[Internet]:
    with internet() as made:
        yield made


@pytest.fixture(scope="module")
def web_server() -> Iterator[int]:
    """The port of a web server on all the host's addresses."""
    server, port = serve([sys.executable, "-c", WEB_SERVER, "0"])
    yield int(port)
    end(server)


@pytest.fixture(scope="module")
def servers(make_server: Callable[..., Server], net: Internet) -> tuple[Server, Server]:
    """Two, since a port listens on the addresses of one version of IP. Steps run on the first."""
    rules = {"denied_networks": net.denied, "name_servers": net.name_server}
    rules["allowed_networks"] = f"{net.allowed},{net.allowed6}"
    first = make_server("--listen", "[::]:0", "--gateway", "0.0.0.0:0", **rules)
    return first, make_server("--listen", "0.0.0.0:0", "--gateway", "[::]:0")


@dataclass
class Held:
    """A build that holds a machine of its own."""

    endpoint: EndpointFiles
    bridge: str
    host: str
    port: int
    build: str
    in_user_namespace: bool

    def finish(self) -> None:
        self.endpoint.server.call("depot.build.v1.BuildService/FinishBuild", {"buildId": self.build, "success": {}})


def hold(server: Server, folder: Path, project: str | None = None) -> Held:
    project = project or server.new_project()
    build, token = server.new_build(project)
    endpoint = get_endpoint(server, build, token, folder)
    (machine,) = server.machines(project)
    links = json.loads(run("ip", "-j", "link", "show"))
    (bridge,) = [link["ifname"] for link in links if link.get("ifalias", "").endswith(f"/{machine.id}")]
    placed = machine.placement
    in_user_namespace = placed["isolation"] == Isolation.USER_NAMESPACE
    return Held(endpoint, bridge, placed["host"], machine.port, build, in_user_namespace)


def address_of(device: str, version: int) -> str:
    family = {4: "inet", 6: "inet6"}[version]
    shown = run("ip", f"-{version}", "-o", "addr", "show", "dev", device, "scope", "global")
    return re.findall(rf"{family} (\S+)/", shown)[0]


def own_addresses() -> list[str]:
    """The host's addresses on its devices, but for those of bridges and tests."""
    listed = json.loads(run("ip", "-j", "addr", "show", "scope", "global"))
    devices = [device for device in listed if not device["ifname"].startswith(("stk", "veth"))]
    return [address["local"] for device in devices for address in device["addr_info"] if address]


def reached(held: Held, folder: Path, targets: dict[str, Target]) -> dict[str, bool]:
    """Which of them answer a step, all asked at once."""
    asked = "\\\n".join(
        f" (echo GET / | nc -w 4 {address} {port} | grep -q . && echo {name} reached || echo {name} refused)&"
        for name, (address, port) in targets.items()
    )
    built = held.endpoint.build(write_context(folder, f"{asked} wait"), "--no-cache")
    assert built.code == 0, built.output
    said = dict(re.findall(r"^#\d+ [\d.]+ (\S+) (reached|refused)$", built.output, re.MULTILINE))
    assert said.keys() == targets.keys(), built.output
    return {name: word == "reached" for name, word in said.items()}


def fetched(held: Held, folder: Path, targets: dict[str, Target]) -> dict[str, bool]:
    """Which of them BuildKit itself gets something from, when a Dockerfile names their addresses."""
    found: dict[str, bool] = {}
    for name, (address, port) in targets.items():
        host = f"[{address}]" if ":" in address else address
        context = folder / re.sub(r"\W", "-", name)
        context.mkdir(parents=True)
        (context / "Dockerfile").write_text(f"FROM scratch\nADD http://{host}:{port}/{name} /found\n")
        built = held.endpoint.build(context)
        # Whatever else went wrong, somebody was there.
        found[name] = f"{host}:{port}: connect: connection refused" not in built.output
    return found


def proxied(held: Held, folder: Path, targets: dict[str, Target]) -> dict[str, bool]:
    """Which of them a step gets an answer from by way of BuildKit's proxy."""
    hosts = {name: f"[{address}]" if ":" in address else address for name, (address, _) in targets.items()}
    asked = "\\\n".join(
        f" (printf 'GET http://{hosts[name]}:{port}/ HTTP/1.0\\r\\n\\r\\n' | nc -w 8 $proxy | head -n 1"
        f" | sed 's,^,{name} ,')&"
        for name, (_, port) in targets.items()
    )
    proxy = "proxy=$(echo $http_proxy | sed 's,http://,,; s,/$,,; s,:, ,'); echo by $proxy;"
    built = held.endpoint.build(write_context(folder, f"{proxy} {asked} wait"), "--no-cache", "--proxy-network")
    assert built.code == 0, built.output
    said = dict(re.findall(r"^#\d+ [\d.]+ (\S+) HTTP/\S+ (\d+) ", built.output, re.MULTILINE))
    assert said.keys() == targets.keys(), built.output
    assert set(said.values()) <= {"200", "502"}, built.output
    return {name: status == "200" for name, status in said.items()}


def listens(port: int) -> bool:
    return f":{port} " in run("ss", "-Hltn")


def gateway_port(server: Server) -> int:
    return int(re.findall(r"gateway  \S+:(\d+)$", server.output, re.MULTILINE)[0])


def says_hello(address: str, port: int) -> bool:
    """Whether a server is there and says so, even when it speaks no HTTP."""
    try:
        with socket.create_connection((address, port), FETCH_SECONDS) as connection:
            connection.sendall(b"GET /\n")
            connection.shutdown(socket.SHUT_WR)
            return b"hello" in connection.makefile("rb").read()
    except OSError:
        return False


def show(asked: str, found: dict[str, bool], capsys: pytest.CaptureFixture[str]) -> None:
    """Print the table, what was reached first."""
    with capsys.disabled():
        sys.stdout.write(f"\n{asked:67} answer\n")
        for name, answered in sorted(found.items(), key=lambda item: (not item[1], item[0])):
            sys.stdout.write(f"{name:67} {'reached' if answered else 'refused'}\n")


def reachable(net: Internet) -> dict[str, Target]:
    """What every build may reach, and what the operator allowed."""
    return {
        "internet": (net.public, 80),
        "internet-v6": (net.public6, 80),
        "allowed-by-the-operator": (net.allowed, 80),
        "allowed-by-the-operator-v6": (net.allowed6, 80),
    }


def forbidden(net: Internet) -> dict[str, Target]:
    """Web servers that are there, and that nobody may reach."""
    found: dict[str, Target] = {f"private-{address}": (address, 80) for address in (*net.private, *net.private6)}
    found |= {f"metadata-{address}": (address, 80) for address in net.metadata}
    return found | {"denied-by-the-operator": (net.denied, 80)}


SERVING = (
    "ip -4 addr show scope global | sed -n 's,.*inet \\(.*\\)/.*,serving at \\1,p';"
    " ip -6 addr show scope global | sed -n 's,.*inet6 \\(.*\\)/.*,serving6 at \\1,p';"
    " while true; do echo hello | nc -l -p 80; done"
)


def test_steps_reach_the_internet_and_nothing_else(
    servers: tuple[Server, Server],
    net: Internet,
    web_server: int,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    first, second = servers
    own, other = hold(first, tmp_path / "own"), hold(first, tmp_path / "other")
    serving = write_context(tmp_path / "serving", SERVING)
    local = [f"--local=context={serving}", f"--local=dockerfile={serving}"]
    command = other.endpoint.command("build", "--frontend=dockerfile.v0", "--progress=plain", *local)
    log = tmp_path / "serving.log"
    with log.open("wb") as output:
        neighbour = subprocess.Popen(command, stdout=output, stderr=output)

    def says(what: str) -> list[str]:
        return re.findall(rf"^#\d+ [\d.]+ {what} at (\S+)$", log.read_text(), re.MULTILINE)

    try:
        eventually(lambda: bool(says("serving6")), "another machine's step serves", 60)
        steps = (says("serving")[0], says("serving6")[0])
        open_ports = {
            "api": int(first.url.rpartition(":")[2]),
            "gateway": gateway_port(first),
            "api-of-other-server": int(second.url.rpartition(":")[2]),
            "gateway-of-other-server": gateway_port(second),
            "web-server-of-host": web_server,
        }
        assert all(listens(port) for port in open_ports.values())
        host = {f"host-at-{address}": address for address in own_addresses()}
        host |= {"host-by-gateway": address_of(own.bridge, 4), "host-by-gateway-v6": address_of(own.bridge, 6)}
        host |= {"host-by-other-gateway": address_of(other.bridge, 4)}
        host |= {"host-by-other-gateway-v6": address_of(other.bridge, 6)}
        run("ip", "addr", "add", "fe80::77/64", "dev", own.bridge, "nodad")
        host |= {"host-by-link-local": "fe80::77%eth0"}
        refused: dict[str, Target] = {
            f"{name}-{place}": (address, port) for place, address in host.items() for name, port in open_ports.items()
        }
        refused |= {"own-buildkitd": (own.host, own.port), "its-buildkitd": (other.host, other.port)}
        for place, address in host.items():
            refused |= {f"own-buildkitd-{place}": (address, own.port), f"its-buildkitd-{place}": (address, other.port)}
        refused |= {f"step-of-other-machine-{address}": (address, 80) for address in steps}
        refused |= forbidden(net) | {"name-server-but-not-dns": (net.name_server, 80)}
        allowed = reachable(net) | {"internet-by-name": ("example.test", 80)}
        found = reached(own, tmp_path / "context", allowed | refused)
        # All that was there to be reached, so it was the rules that refused.
        there = [*net.private, *net.private6, *net.metadata, net.denied]
        assert [address for address in there if not says_hello(address, 80)] == []
        assert [
            address for address in host.values() if "%" not in address and not says_hello(address, web_server)
        ] == []
        for address in steps:
            eventually(lambda address=address: says_hello(address, 80), "the other machine's step answers the host")
    finally:
        neighbour.kill()
        neighbour.wait()
        own.finish()
        other.finish()
    show("what a RUN step asked", found, capsys)
    assert found == dict.fromkeys(allowed, True) | dict.fromkeys(refused, False)


def test_what_buildkit_fetches_itself_is_under_the_same_rules(
    servers: tuple[Server, Server], net: Internet, web_server: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = servers
    own, other = hold(first, tmp_path / "own"), hold(first, tmp_path / "other")
    try:
        ports = {"web-server-of-host": web_server, "api": int(first.url.rpartition(":")[2])}
        ports |= {"api-of-other-server": int(second.url.rpartition(":")[2])}
        here = [
            "127.0.0.1",
            "::1",
            address_of(own.bridge, 4),
            address_of(other.bridge, 6),
            net.host_side,
            *own_addresses(),
        ]
        refused: dict[str, Target] = {
            f"{name}-at-{address}": (address, port)
            for name, port in ports.items()
            for address in here
            if says_hello(address, port) or name != "web-server-of-host"
        }
        refused |= {f"its-buildkitd-at-{address}": (address, other.port) for address in ("127.0.0.1", net.host_side)}
        refused |= forbidden(net)
        allowed = reachable(net)
        found = fetched(own, tmp_path / "contexts", allowed | refused)
        why = f"dial tcp {net.private[0]}:80: connect: connection refused"
        first.call("depot.build.v1.BuildService/FinishBuild", {"buildId": own.build, "error": {"error": why}})
        (told,) = first.query("select error from builds where id = ?", own.build)
        assert told[0].startswith(f"{why}\nbuilds reach {net.private[0]}, "), (
            "the record says what may be done about it"
        )
    finally:
        own.finish()
        other.finish()
    show("what an ADD asked", found, capsys)
    assert found == dict.fromkeys(allowed, True) | dict.fromkeys(refused, False)


def test_buildkits_own_proxy_takes_steps_no_further(
    servers: tuple[Server, Server], net: Internet, web_server: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A client may ask for it (`SolveRequest.ProxyNetwork`): BuildKit then dials what a step asks for."""
    first, second = servers
    own, other = hold(first, tmp_path / "own"), hold(first, tmp_path / "other")
    try:
        ports = {"web-server-of-host": web_server, "api": int(first.url.rpartition(":")[2])}
        ports |= {"api-of-other-server": int(second.url.rpartition(":")[2]), "its-buildkitd": other.port}
        here = ["127.0.0.1", address_of(own.bridge, 4), address_of(other.bridge, 6), net.host_side, *own_addresses()]
        refused: dict[str, Target] = {
            f"{name}-at-{address}": (address, port) for name, port in ports.items() for address in here
        }
        refused |= forbidden(net)
        allowed = reachable(net)
        found = proxied(own, tmp_path / "context", allowed | refused)
    finally:
        own.finish()
        other.finish()
    show("what a RUN step asked BuildKit's proxy", found, capsys)
    assert found == dict.fromkeys(allowed, True) | dict.fromkeys(refused, False)


# Without user namespaces, BuildKit's own calls are told by its cgroup.
@pytest.mark.parametrize("user_namespaces", ["auto", "off"])
def test_what_an_operator_gives_one_project_another_does_not_have(
    make_server: Callable[..., Server], net: Internet, web_server: int, tmp_path: Path, user_namespaces: str
) -> None:
    server = make_server(network_ipv6="false", user_namespaces=user_namespaces)
    given, other = server.new_project(), server.new_project()
    server.stop()
    rules = {"allowed_networks": [f"{net.allowed}/32"], "denied_networks": [f"{net.public}/32"]}
    rules["entitlements"] = ["network.host", "security.insecure"]
    server.settings["project_privileges"] = json.dumps({given: rules})
    server.start()
    mine, others = hold(server, tmp_path / "mine", given), hold(server, tmp_path / "others", other)
    targets = {"private": (net.allowed, 80), "internet": (net.public, 80)}
    assert mine.in_user_namespace == (user_namespaces != "off")

    assert reached(mine, tmp_path / "context", targets) == {"private": True, "internet": False}
    assert reached(others, tmp_path / "context", targets) == {"private": False, "internet": True}
    assert fetched(mine, tmp_path / "mine", targets) == {"private": True, "internet": False}
    assert fetched(others, tmp_path / "others", targets) == {"private": False, "internet": True}

    answering = {"host": ("127.0.0.1", web_server), "private": targets["private"], "internet": targets["internet"]}
    asks = "; ".join(
        f"echo GET / | nc -w 4 {address} {port} 2>/dev/null | grep -q hello && echo {name} answers"
        for name, (address, port) in answering.items()
    )
    privileged = write_context(
        tmp_path / "privileged",
        "mkdir /mnt",
        f"--network=host {asks}; true",
        "--security=insecure mount -t tmpfs mine /mnt",
    )
    asked = ("--allow=network.host", "--allow=security.insecure")
    built = mine.endpoint.build(privileged, *asked)
    assert built.code == 0, built.output
    answered = set(re.findall(r"^#\d+ [\d.]+ (\w+) answers$", built.output, re.MULTILINE))
    # In a user namespace it is the machine's own network, which reaches what BuildKit itself reaches.
    assert answered == ({"private"} if mine.in_user_namespace else {"host", "private", "internet"}), built.output
    refused = others.endpoint.build(privileged, *asked)
    assert refused.code != 0
    assert f"builds of project {other} may not use network.host, security.insecure" in refused.output
    assert "ask the operator of this server to give it to the project (setting project_privileges)" in refused.output
    mine.finish()
    others.finish()


def test_where_networks_cannot_be_made_it_builds_on_the_hosts_own_and_says_so(
    make_server: Callable[..., Server], web_server: int, tmp_path: Path
) -> None:
    without = ("setpriv", "--bounding-set", "-net_admin")
    server = make_server("--allow-unisolated", launcher=without)
    build, token = server.new_build()

    endpoint = get_endpoint(server, build, token, tmp_path / "endpoint")
    host = f"echo GET / | nc -w 4 127.0.0.1 {web_server} | sed -n 's/.*hello.*/the host answers/p'"
    built = endpoint.build(write_context(tmp_path / "context", host))

    assert built.code == 0, built.output
    assert re.search(r"^#\d+ [\d.]+ the host answers$", built.output, re.MULTILINE), built.output
    assert "UNSAFE   networks of steps: lacks CAP_NET_ADMIN" in server.output
    (machine,) = server.machines(server.project)
    assert machine.id not in run("ip", "-o", "link", "show")
    log = (server.data / "logs" / "api.log").read_text()
    assert f"machine {machine.id}: UNSAFE: RUN steps are on this host's own network" in log, log
    server.call("depot.build.v1.BuildService/FinishBuild", {"buildId": build, "success": {}})
