"""A build's endpoint, used as any BuildKit client would: address, server name and certificates."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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

    def command(self, *arguments: str, certificate: bool = True) -> list[str]:
        """The command line of buildctl against the endpoint."""
        command = [str(self.server.engine.buildctl), "--addr", self.address, "--tlsservername", self.server_name]
        command += ["--tlscacert", str(self.folder / "ca.pem")]
        if certificate:
            command += ["--tlscert", str(self.folder / "cert.pem"), "--tlskey", str(self.folder / "key.pem")]
        return [*command, *arguments]

    def buildctl(self, *arguments: str, certificate: bool = True) -> Result:
        """Run buildctl against the endpoint."""
        command = self.command(*arguments, certificate=certificate)
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        return Result(done.returncode, done.stdout + done.stderr)

    def build(self, context: Path, *arguments: str) -> Result:
        """Build a folder with a Dockerfile."""
        local = [f"--local=context={context}", f"--local=dockerfile={context}"]
        return self.buildctl("build", "--frontend=dockerfile.v0", "--progress=plain", *local, *arguments)


def get_endpoint(server: Server, build: str, token: str, folder: Path) -> EndpointFiles:
    """Ask for the endpoint of a build for amd64 until it is active."""
    request = {"buildId": build, "platform": "BUILDER_PLATFORM_AMD64"}
    answers: list[dict[str, Any]] = []

    def ask() -> bool:
        answers.append(server.call(CONNECT, request, token=token).body)
        return "active" in answers[-1]

    eventually(ask, "the endpoint is active", 60)
    return endpoint_files(server, answers[-1]["active"], folder)


def endpoint_files(server: Server, active: dict[str, Any], folder: Path) -> EndpointFiles:
    """Put an active endpoint, in JSON as any of the two services answers it, into files."""

    def pem(part: str | dict[str, str], field: str) -> str:
        return part if isinstance(part, str) else part[field]

    certificate, authority = active["cert"], active["caCert"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "ca.pem").write_text(authority["cert"])
    (folder / "cert.pem").write_text(pem(certificate["cert"], "cert"))
    (folder / "key.pem").write_text(pem(certificate["key"], "key"))
    return EndpointFiles(server, active["endpoint"], active["serverName"], folder)
