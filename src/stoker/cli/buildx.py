"""`stoker buildx`: a remote builder of `docker buildx` on a project's machines."""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stoker.cli.connecting import resolve_caller
from stoker.cli.machine_choice import machine_platform
from stoker.cli.project_choice import project_or_environment
from stoker.cli.remote import Remote, hint_for
from stoker.cli.signals import stop_signals, unless
from stoker.cli.terminal import Problem, write
from stoker.client.api import open_api
from stoker.client.buildx import Buildx, BuildxFailed, RemoteBuilder
from stoker.client.errors import ApiError
from stoker.domain.platforms import Platform

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from stoker.client.calls import Caller

_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9._-]{0,63}")


@click.command("buildx", context_settings={"ignore_unknown_options": True})
@click.argument("name")
@click.argument("run", nargs=-1, type=click.UNPROCESSED, metavar="[-- COMMAND...]")
@click.option("--project", "project_id", help="Name or id of the project. Default: DEPOT_PROJECT_ID, else depot.json.")
@click.option(
    "--platform",
    "platforms",
    default="",
    show_default=False,
    help="Platforms, with a machine for each. Default: this host's.",
)
@click.option("--api-url", help="Address of the API. Default: DEPOT_API_URL, else your last login.")
@click.option("--use", is_flag=True, help="Make it buildx's default builder.")
def command(
    name: str,
    run: tuple[str, ...],
    project_id: str | None,
    platforms: str,
    api_url: str | None,
    use: bool,  # noqa: FBT001
) -> None:
    """Set up a remote builder for `docker buildx`.

    The builder NAME works until Ctrl-C.

    With a COMMAND, run it, remove the builder, and return the command's exit code:

        stoker buildx ci --project P -- docker buildx build --builder ci -t app .

    Address and token come from DEPOT_API_URL and DEPOT_TOKEN, else from `stoker login`.
    """
    if not _NAME.fullmatch(name):
        raise Problem(f"\"{name}\" can't be a builder's name", "use letters, digits, dots, dashes and underscores")
    caller = resolve_caller(api_url)
    project = Remote(caller).project_id(project_id or project_or_environment("."))
    try:
        buildx = Buildx.find()
        with _folder_of(name) as (folder, is_ours):
            if buildx.has(name) and not is_ours:
                raise Problem(f"buildx has a builder {name} already", "choose another name, or remove it first")
            buildx.remove(name)
            code = asyncio.run(_hold(buildx, name, folder, caller, project, _platforms(platforms), run, use=use))
    except BuildxFailed as error:
        raise Problem(str(error)) from error
    except ApiError as error:
        raise Problem(str(error), hint_for(error)) from error
    sys.exit(code)


async def _hold(
    buildx: Buildx,
    name: str,
    folder: Path,
    caller: Caller,
    project: str,
    platforms: Sequence[Platform],
    run: tuple[str, ...],
    *,
    use: bool,
) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in stop_signals():
        loop.add_signal_handler(number, stop.set)
    async with open_api(caller.url, caller.token) as api:
        holder = RemoteBuilder(api, project, platforms, folder, _say)
        try:
            opening = asyncio.create_task(holder.open())
            if not await unless(stop, opening):
                return 130
            await asyncio.to_thread(buildx.create, name, folder, opening.result(), use=use)
            _say(f"builder {name} is ready: docker buildx build --builder {name} .")
            keeping = asyncio.create_task(holder.keep())
            try:
                return await _run(run, stop) if run else await _wait(stop)
            finally:
                keeping.cancel()
                await asyncio.gather(keeping, return_exceptions=True)
        finally:
            await asyncio.to_thread(buildx.remove, name)
            await holder.close()
            _say(f"builder {name} is removed")


async def _wait(stop: asyncio.Event) -> int:
    _say("Ctrl-C removes it")
    await stop.wait()
    return 0


async def _run(command: tuple[str, ...], stop: asyncio.Event) -> int:
    """Run the user's command, and pass on a signal that ends us."""
    try:
        process = await asyncio.create_subprocess_exec(*command)
    except OSError as error:
        raise Problem(f"{command[0]} can't be run: {error.strerror}") from error
    ending = asyncio.create_task(process.wait())
    if not await unless(stop, ending, cancel=False):
        with suppress(ProcessLookupError):
            process.terminate()
        await ending
    return process.returncode or 0 if (process.returncode or 0) >= 0 else 128 - (process.returncode or 0)


@contextmanager
def _folder_of(name: str) -> Generator[tuple[Path, bool]]:
    """The folder of a builder's certificates, locked during the block, and whether it existed before."""
    base = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "stoker" / "buildx"
    base.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = base / name
    descriptor = os.open(base / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise Problem(f"another stoker buildx keeps {name}", "stop it first, or choose another name") from error
        is_ours = folder.exists()
        folder.mkdir(mode=0o700, exist_ok=True)
        yield folder, is_ours
    finally:
        os.close(descriptor)


def _platforms(text: str) -> list[Platform]:
    names = [part.strip() for part in text.split(",") if part.strip()]
    return list(dict.fromkeys(machine_platform((name,)) for name in names)) or [machine_platform(())]


def _say(text: str) -> None:
    write(text, err=True)
