"""`stoker serve`: run a server until Ctrl-C."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from stoker.cli.engine import require_container_runtime, require_engine
from stoker.cli.options import effective_settings, setting_flags
from stoker.cli.signals import stop_signals, unless
from stoker.cli.terminal import Problem, say
from stoker.domain.errors import StokerError
from stoker.domain.host import Verdict, refusal
from stoker.runtimes.errors import RuntimeFailed
from stoker.serve.data_folder import DataFolderInUse, locked_data_folder
from stoker.serve.part import PartFailed
from stoker.serve.ports import PortUnavailable
from stoker.serve.server_checks import check_server
from stoker.serve.supervisor import Running, Supervisor
from stoker.store.migrate import DatabaseUnusable

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

    from stoker.settings.effective import Settings

    WhenReady = Callable[[Running], Coroutine[None, None, None]]

_DATA_HINT = "check the folder, or choose another with --data"


@click.command("serve")
@setting_flags(
    "data",
    "listen",
    "gateway",
    "gateway_name",
    "public_url",
    "metrics",
    "bootstrap",
    "tls_certificate",
    "tls_key",
    "allow_unisolated",
)
def command(config_file: Path | None, **flags: object) -> None:
    """Start the API, the gateway and the fleet. Ctrl-C stops all of them and every machine."""
    serve(effective_settings(config_file, flags).values)


def serve(settings: Settings, when_ready: WhenReady | None = None) -> None:
    """Serve until a signal; ``when_ready`` runs once everything is up.

    Raises:
        Problem: the server can't start.
    """
    # First, so that processes that get the engine can be interrupted too.
    stop_signals()
    _check(settings)
    try:
        # Before the engine, which may take minutes to build, for a server that can't start anyway.
        with locked_data_folder(settings.server.data):
            engine, runtime = require_engine(settings), require_container_runtime(settings)
            asyncio.run(_serve(settings, engine.buildkitd, runtime.program, when_ready))
    except DataFolderInUse as error:
        raise Problem(str(error), "stop it first, or use another folder with --data") from error
    except PortUnavailable as error:
        raise Problem(str(error)) from error
    except (RuntimeFailed, PartFailed, DatabaseUnusable, StokerError) as error:
        raise Problem(str(error), "nothing is left running") from error
    except OSError as error:
        raise Problem(f"{error.filename or 'a file'} can't be used: {error.strerror or error}", _DATA_HINT) from error


def _check(settings: Settings) -> None:
    findings = asyncio.run(check_server(settings))
    stopping = refusal(findings, allow_unisolated=settings.process_runtime.allow_unisolated)
    if stopping is not None:
        unsafe = "; or allow it for code that you trust, with --allow-unisolated"
        hint = f"{stopping.advice}{unsafe if stopping.verdict is Verdict.UNSAFE else ''}"
        raise Problem(f"{stopping.subject}: {stopping.found}", f"{hint} (`stoker doctor` shows all)")
    for finding in findings:
        if finding.verdict is Verdict.WEAKER:
            say(f"weaker   {finding.subject}: {finding.found}; {finding.advice}")
        elif finding.verdict is Verdict.UNSAFE:
            say(f"UNSAFE   {finding.subject}: {finding.found}; steps reach the host itself and all that it reaches")


async def _serve(settings: Settings, buildkitd: Path, container_runtime: Path, when_ready: WhenReady | None) -> None:
    supervisor = Supervisor(settings, buildkitd, container_runtime, say)
    say(f"starting on {settings.server.data}")
    stop, now = asyncio.Event(), asyncio.Event()

    def on_signal() -> None:
        if stop.is_set():
            now.set()
        stop.set()

    loop = asyncio.get_running_loop()
    for number in stop_signals():
        loop.add_signal_handler(number, on_signal)
    try:
        starting = asyncio.create_task(supervisor.start())
        if not await unless(stop, starting):
            return
        running = starting.result()
        _announce(running)
        following = asyncio.create_task(when_ready(running)) if when_ready is not None else None
        await stop.wait()
        if following is not None:
            following.cancel()
        say("stopping; Ctrl-C again to stop at once")
        if await unless(now, asyncio.create_task(supervisor.stop())):
            say("stopped")
            return
    finally:
        # In every case nothing of this server may be left. After an orderly stop this does nothing.
        await supervisor.stop_now()
    say("stopped at once")


def _announce(running: Running) -> None:
    say(f"API      {running.api_url}")
    say(f"gateway  {running.gateway_address}")
    if running.metrics_url is not None:
        say(f"metrics  {running.metrics_url}")
    if running.owner_link is not None:
        say(f"owner    {running.owner_link}\n         makes whoever opens it the owner; it works once")
    say("ready; Ctrl-C stops the server and its machines")
