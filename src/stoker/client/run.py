"""Run one build through the API and the gateway."""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stoker.client.api import RemoteBuild, keep_alive, open_api
from stoker.client.buildctl import BuildInput, Connection, ResultFiles, buildctl_command
from stoker.client.errors import ApiError
from stoker.client.patience import patiently
from stoker.domain.builds import is_cancellation
from stoker.pki.private_files import write_private

if TYPE_CHECKING:
    from collections.abc import Callable

    from stoker.client.api import Api
    from stoker.domain.leases import Endpoint
    from stoker.domain.platforms import Platform

_HEALTH_SECONDS = 20.0
_INTERRUPT_PATIENCE = 10.0
_CANCEL_PATIENCE = 3.0
INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Phase:
    """A part of a build, and how long it took."""

    name: str
    seconds: float


@dataclass(frozen=True, slots=True)
class BuildOutcome:
    """How a build went."""

    build_id: str
    exit_code: int
    digest: str | None
    phases: tuple[Phase, ...]


class _Stopwatch:
    def __init__(self) -> None:
        self.phases: list[Phase] = []
        self._last = time.monotonic()

    def lap(self, name: str) -> None:
        now = time.monotonic()
        self.phases.append(Phase(name, now - self._last))
        self._last = now


async def run_build(
    url: str,
    token: str,
    project_id: str,
    platform: Platform,
    build: BuildInput,
    *,
    buildctl: Path,
    say: Callable[[str], None],
) -> BuildOutcome:
    """Create a build, get its endpoint, run buildctl against it, and say how it ended.

    buildctl writes its progress straight to the terminal. An interrupt ends it and leaves the build canceled.

    Raises:
        ApiError: the API refused the call, or can't be reached.
    """
    watch = _Stopwatch()
    async with open_api(url, token) as api:
        remote = await api.create_build(project_id)
        watch.lap("create the build")
        say(f"build {remote.id} in project {project_id}")
        try:
            endpoint = await patiently(lambda: api.endpoint(remote, platform), say)
            watch.lap("get the machine")
            with tempfile.TemporaryDirectory(prefix="stoker-build-") as folder:
                exit_code, error, digest = await _with_health(api, remote, platform, endpoint, build, buildctl, folder)
            watch.lap("build")
        except asyncio.CancelledError:
            with suppress(ApiError):
                await patiently(lambda: api.finish_build(remote, None, canceled=True), say, _CANCEL_PATIENCE)
            raise
        except ApiError as failure:
            with suppress(ApiError):
                await api.finish_build(remote, str(failure))
            raise
        try:
            await patiently(lambda: api.finish_build(remote, error, canceled=exit_code == INTERRUPTED), say)
        except ApiError as failure:
            # It may have ended by an attempt whose answer was lost.
            if not failure.has_ended:
                say(f"the end of build {remote.id} could not be reported: {failure}")
        watch.lap("finish")
    return BuildOutcome(remote.id, exit_code, digest, tuple(watch.phases))


async def _with_health(
    api: Api,
    remote: RemoteBuild,
    platform: Platform,
    endpoint: Endpoint,
    build: BuildInput,
    buildctl: Path,
    folder: str,
) -> tuple[int, str | None, str | None]:
    connection = _write_credentials(endpoint, Path(folder), buildctl)
    results = ResultFiles(metadata=Path(folder) / "metadata.json", trace=Path(folder) / "trace.json")
    health = asyncio.create_task(keep_alive(api, remote, platform, _HEALTH_SECONDS))
    try:
        exit_code = await _run(buildctl_command(connection, build, results))
    finally:
        health.cancel()
    if exit_code == 0:
        return 0, None, _digest(results.metadata)
    return exit_code, _last_error(results.trace) or f"buildctl ended with exit code {exit_code}", None


async def _run(command: list[str]) -> int:
    process = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.DEVNULL)
    try:
        return await process.wait()
    except asyncio.CancelledError:
        # The terminal's Ctrl-C reached buildctl too; it cancels its solve and ends by itself.
        with suppress(ProcessLookupError, TimeoutError):
            process.terminate()
            async with asyncio.timeout(_INTERRUPT_PATIENCE):
                await process.wait()
        if process.returncode is None:
            process.kill()
        raise


def _write_credentials(endpoint: Endpoint, folder: Path, buildctl: Path) -> Connection:
    files = {
        "ca.pem": endpoint.ca_certificate,
        "cert.pem": endpoint.certificate,
        "key.pem": endpoint.private_key,
    }
    for name, content in files.items():
        write_private(folder / name, content.encode())
    return Connection(
        buildctl=buildctl,
        address=endpoint.address,
        server_name=endpoint.server_name,
        ca_certificate=folder / "ca.pem",
        certificate=folder / "cert.pem",
        private_key=folder / "key.pem",
    )


def _digest(metadata: Path) -> str | None:
    try:
        return json.loads(metadata.read_text()).get("containerimage.digest")
    except (OSError, ValueError):
        return None


def _last_error(trace: Path) -> str | None:
    """The first error of a step in buildctl's trace, one JSON status a line, that isn't another's cancellation."""
    with suppress(OSError, ValueError):
        for line in trace.read_text().split("\n"):
            for vertex in (json.loads(line).get("vertexes") or ()) if line else ():
                if vertex.get("error") and not is_cancellation(vertex["error"]):
                    return f"{vertex.get('name', 'step')}: {vertex['error']}"
    return None
