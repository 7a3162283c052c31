"""A build's endpoint, used as any BuildKit client would: address, server name and certificates."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.harness.depot import Result
from tests.harness.server import Server
from tests.harness.waiting import eventually

CONNECT = "depot.cli.v1.BuildService/GetBuildKitConnection"


@dataclass
class EndpointFiles:
    """An active endpoint with its certificates in files."""

    server: Server
    address: str
    server_name: str
    folder: Path

    def buildctl(self, *arguments: str, certificate: bool = True) -> Result:
        """Run buildctl against the endpoint."""
        command = [str(self.server.engine.buildctl), "--addr", self.address, "--tlsservername", self.server_name]
        command += ["--tlscacert", str(self.folder / "ca.pem")]
        if certificate:
            command += ["--tlscert", str(self.folder / "cert.pem"), "--tlskey", str(self.folder / "key.pem")]
        done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=120, check=False)
        return Result(done.returncode, done.stdout + done.stderr)


def get_endpoint(server: Server, build: str, token: str, folder: Path) -> EndpointFiles:
    """Ask for the endpoint of a build for amd64 until it is active."""
    request = {"buildId": build, "platform": "BUILDER_PLATFORM_AMD64"}
    answers: list[dict[str, dict[str, object]]] = []

    def ask() -> bool:
        answers.append(server.call(CONNECT, request, token=token).body)
        return "active" in answers[-1]

    eventually(ask, "the endpoint is active", 60)
    active: dict[str, object] = answers[-1]["active"]
    folder.mkdir(parents=True, exist_ok=True)
    for name, field, part in (("ca", "caCert", "cert"), ("cert", "cert", "cert"), ("key", "cert", "key")):
        pem = active[field]
        assert isinstance(pem, dict)
        (folder / f"{name}.pem").write_text(pem[part])
    return EndpointFiles(server, str(active["endpoint"]), str(active["serverName"]), folder)
