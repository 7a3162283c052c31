"""Remote builders of `docker buildx`, kept usable: certificates in files, health reported, renewed before they end.

A builder of buildx holds the paths of its certificates and reads them at every use, and an endpoint's address and
server name stay the same for a project and platform. So renewing means to write the files again.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from stoker.client.errors import ApiError
from stoker.client.patience import patiently
from stoker.pki.private_files import write_private

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from stoker.client.api import Api, RemoteBuild
    from stoker.domain.leases import Endpoint
    from stoker.domain.platforms import Platform

HEALTH_SECONDS = 20.0
RENEW_SECONDS = 12 * 3600.0
_OVERLAP_SECONDS = 11 * 3600.0
# A person pressed Ctrl-C and waits.
_END_SECONDS = 10.0


class BuildxFailed(Exception):
    """buildx is missing, or refused; the text is for the user."""


class Buildx:
    """The buildx of this host: Docker's plug-in, or the standalone program."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = tuple(command)

    @classmethod
    def find(cls) -> Buildx:
        """The first one that works.

        Raises:
            BuildxFailed: there is none.
        """
        for command in (("docker", "buildx"), ("buildx",), ("docker-buildx",)):
            if shutil.which(command[0]) and subprocess.run([*command, "version"], capture_output=True).returncode == 0:  # noqa: PLW1510
                return cls(command)
        raise BuildxFailed("there is no docker buildx here; install Docker's buildx plug-in, or put buildx into PATH")

    def has(self, name: str) -> bool:
        """Whether there is a builder of that name."""
        return self._run("inspect", name).returncode == 0

    def create(self, name: str, folder: Path, endpoints: dict[Platform, Endpoint], *, use: bool) -> None:
        """Create a builder with a node for each platform.

        Raises:
            BuildxFailed: buildx refused.
        """
        for number, (platform, endpoint) in enumerate(endpoints.items()):
            files = folder / platform.architecture
            options = (
                f"cacert={files / 'ca.pem'},cert={files / 'cert.pem'},key={files / 'key.pem'},"
                f"servername={endpoint.server_name}"
            )
            done = self._run(
                *("create", "--name", name, "--node", f"{name}-{platform.architecture}", "--driver", "remote"),
                *("--platform", platform.value, "--driver-opt", options),
                *(["--append"] if number else []),
                *(["--use"] if use else []),
                _distinct(endpoint.address, number),
            )
            if done.returncode != 0:
                raise BuildxFailed(f"buildx could not create {name}: {_last_line(done.stderr)}")

    def remove(self, name: str) -> None:
        """Remove a builder. One that isn't there is a success."""
        self._run("rm", "--force", name)

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*self._command, *arguments], capture_output=True, text=True, check=False)


@dataclass(frozen=True, slots=True)
class _Session:
    build: RemoteBuild
    endpoints: dict[Platform, Endpoint]
    began: float


class RemoteBuilder:
    """The endpoints of one project, held for buildx."""

    def __init__(
        self, api: Api, project_id: str, platforms: Sequence[Platform], folder: Path, say: Callable[[str], None]
    ) -> None:
        self._api = api
        self._project_id = project_id
        self._platforms = tuple(platforms)
        self._folder = folder
        self._say = say
        self._sessions: list[_Session] = []

    async def open(self) -> dict[Platform, Endpoint]:
        """Get an endpoint for each platform, and write its certificates.

        Raises:
            ApiError: the API refused the call, or can't be reached.
        """
        build = await self._api.create_build(self._project_id)
        session = _Session(build, {}, time.monotonic())
        self._sessions.append(session)
        self._say(f"build {build.id}: {build.url}")
        for platform in self._platforms:
            endpoint = await patiently(partial(self._api.endpoint, build, platform), self._say)
            session.endpoints[platform] = endpoint
            self._write(platform, endpoint)
        return session.endpoints

    async def keep(self, health_seconds: float = HEALTH_SECONDS) -> None:
        """Report health and renew certificates until cancelled. Failures are retried with the next report."""
        while True:
            await asyncio.sleep(health_seconds)
            for session in tuple(self._sessions):
                await self._keep(session)
            if not self._sessions or time.monotonic() - self._sessions[-1].began > RENEW_SECONDS:
                with suppress(ApiError):
                    await self.open()

    async def close(self) -> None:
        """Remove the certificates and release all endpoints, even while the API restarts."""
        shutil.rmtree(self._folder, ignore_errors=True)
        for session in self._sessions:
            try:
                await patiently(partial(self._api.finish_build, session.build, None), self._say, _END_SECONDS)
            except ApiError as error:
                self._say(f"build {session.build.id} could not be ended, so it ends by itself in some minutes: {error}")
        self._sessions.clear()

    async def _keep(self, session: _Session) -> None:
        if time.monotonic() - session.began > RENEW_SECONDS + _OVERLAP_SECONDS:
            self._sessions.remove(session)
            with suppress(ApiError):
                await self._api.finish_build(session.build, None)
            return
        for platform in session.endpoints:
            try:
                await self._api.report_health(session.build, platform)
            except ApiError as error:
                if error.has_ended:
                    self._say(f"build {session.build.id} has ended: {error}; getting new endpoints")
                    self._sessions.remove(session)
                    return

    def _write(self, platform: Platform, endpoint: Endpoint) -> None:
        folder = self._folder / platform.architecture
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(folder / "ca.pem", endpoint.ca_certificate.encode())
        write_private(folder / "cert.pem", endpoint.certificate.encode())
        write_private(folder / "key.pem", endpoint.private_key.encode())


def _distinct(address: str, number: int) -> str:
    """The same address, written in another way for each node: buildx 0.38 takes no two nodes with equal ones, although
    it is the server name that tells ours apart. A port may have zeros before it.
    """
    host, _, port = address.rpartition(":")
    return f"{host}:{'0' * number}{port}"


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "it said nothing"
