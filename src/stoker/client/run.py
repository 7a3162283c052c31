"""Run one build through the API and the gateway."""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from stoker.client.api import RemoteBuild, keep_alive, open_api
from stoker.client.buildctl import BuildInput, Connection, buildctl_command
from stoker.client.error_output import CUT, ErrorOutput
from stoker.client.errors import ApiError
from stoker.client.patience import patiently
from stoker.domain.terminal_text import shown_text
from stoker.pki.private_files import write_private

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping

    from stoker.client.api import Api
    from stoker.domain.leases import Endpoint
    from stoker.domain.platforms import Platform

_HEALTH_SECONDS = 20.0
_INTERRUPT_PATIENCE = 10.0
_CANCEL_PATIENCE = 3.0
_DIGEST = "containerimage.digest"
_ERROR, _FAILED = "error: ", "failed to solve: "
_LOAD = ("docker", "load", "--quiet")
INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Phase:
    """A part of a build, and how long it took."""

    name: str
    seconds: float


@dataclass(frozen=True, slots=True)
class BuildOutcome:
    """How a build went. ``metadata`` is what BuildKit says of its result."""

    build_id: str
    exit_code: int
    phases: tuple[Phase, ...]
    metadata: Mapping[str, object] = field(default_factory=dict[str, object])

    @property
    def digest(self) -> str | None:
        """The image's digest."""
        found = self.metadata.get(_DIGEST)
        return str(found) if found else None


@dataclass(frozen=True, slots=True)
class _Ended:
    """How buildctl ended. ``error`` is what it said last; None after a success."""

    exit_code: int
    error: str | None = None
    metadata: Mapping[str, object] = field(default_factory=dict[str, object])


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

    buildctl's progress goes to the terminal. An interrupt ends it and leaves the build canceled.

    Raises:
        ApiError: the API refused the call, or can't be reached.
        OSError: buildctl, or docker for an image to load, can't be run.
    """
    watch = _Stopwatch()
    async with open_api(url, token) as api:
        remote = await api.create_build(project_id, build)
        watch.lap("create the build")
        say(f"build {remote.id}: {remote.url}")
        try:
            endpoint = await patiently(lambda: api.endpoint(remote, platform), say)
            watch.lap("get the machine")
            with tempfile.TemporaryDirectory(prefix="stoker-build-") as folder:
                ended = await _with_health(api, remote, platform, endpoint, build, buildctl, Path(folder))
            watch.lap("build")
        except asyncio.CancelledError:
            with suppress(ApiError):
                await patiently(lambda: api.finish_build(remote, None, canceled=True), say, _CANCEL_PATIENCE)
            raise
        except (ApiError, OSError) as failure:
            with suppress(ApiError):
                await api.finish_build(remote, str(failure))
            raise
        try:
            await patiently(lambda: api.finish_build(remote, ended.error, canceled=ended.exit_code == INTERRUPTED), say)
        except ApiError as failure:
            # It may have ended by an attempt whose answer was lost, or because somebody canceled it.
            if not failure.has_ended:
                say(f"the end of build {remote.id} could not be reported: {failure}")
        watch.lap("finish")
    return BuildOutcome(remote.id, ended.exit_code, tuple(watch.phases), ended.metadata)


async def _with_health(
    api: Api,
    remote: RemoteBuild,
    platform: Platform,
    endpoint: Endpoint,
    build: BuildInput,
    buildctl: Path,
    folder: Path,
) -> _Ended:
    connection = _write_credentials(endpoint, folder, buildctl)
    metadata = folder / "metadata.json"
    health = asyncio.create_task(keep_alive(api, remote, platform, _HEALTH_SECONDS))
    try:
        command = buildctl_command(connection, build, metadata)
        if not build.load:
            exit_code, said = await _run(command, None)
        else:
            async with _loading() as (archive, loaded):
                exit_code, said = await _run(command, archive)
                failed_to_load = 0 if exit_code else await loaded()
            if failed_to_load:
                return _Ended(failed_to_load, f"{' '.join(_LOAD)} ended with exit code {failed_to_load}")
    finally:
        health.cancel()
    if exit_code == 0:
        return _Ended(0, None, _read_metadata(metadata))
    return _Ended(exit_code, _last_error(said) or f"buildctl ended with exit code {exit_code}")


async def _run(command: list[str], stdout: int | None) -> tuple[int, str]:
    """Run buildctl. Returns its exit code, and the end of what it wrote to stderr."""
    with ErrorOutput() as errors:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=stdout, stderr=errors.writer
        )
        await _wait(process)
    return process.returncode or 0, errors.tail


async def _wait(process: asyncio.subprocess.Process) -> None:
    try:
        await process.wait()
    except asyncio.CancelledError:
        # The terminal's Ctrl-C reached the program too; buildctl cancels its solve and ends by itself.
        with suppress(ProcessLookupError, TimeoutError):
            process.terminate()
            async with asyncio.timeout(_INTERRUPT_PATIENCE):
                await process.wait()
        if process.returncode is None:
            process.kill()
        raise


@asynccontextmanager
async def _loading() -> AsyncGenerator[tuple[int, Callable[[], Awaitable[int]]]]:
    """A pipe into `docker load`: its end to write to, and what closes it and waits for docker's exit code.

    Raises:
        OSError: docker can't be run.
    """
    reader, writer = os.pipe()
    is_open = True
    try:
        process = await asyncio.create_subprocess_exec(*_LOAD, stdin=reader)
    except OSError:
        os.close(writer)
        raise
    finally:
        os.close(reader)

    async def finish() -> int:
        nonlocal is_open
        os.close(writer)
        is_open = False
        await _wait(process)
        return process.returncode or 0

    try:
        yield writer, finish
    finally:
        # First, because it would complain that its input ends.
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
        if is_open:
            os.close(writer)
        await process.wait()


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


def _read_metadata(file: Path) -> Mapping[str, object]:
    try:
        content: object = json.loads(file.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}  # pyright: ignore[reportUnknownVariableType]


def _last_error(said: str) -> str | None:
    """The error that buildctl itself writes, which is its last words."""
    lines = [shown_text(line) for line in said.splitlines()]
    for number in reversed(range(len(lines))):
        if lines[number].startswith(_ERROR):
            return "\n".join(lines[number:]).removeprefix(_ERROR).removeprefix(_FAILED).strip() or None
    # An error that quotes a long instruction is longer than what is remembered. Its end says why.
    return lines[-1] if lines and lines[0].startswith(CUT) else None
