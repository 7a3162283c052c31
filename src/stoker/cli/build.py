"""`stoker build`: build through the API and the gateway."""

from __future__ import annotations

import asyncio
import json
import os
import platform as host
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stoker.cli.connecting import resolve_caller
from stoker.cli.engine import require_engine
from stoker.cli.options import effective_settings
from stoker.cli.remote import hint_for
from stoker.cli.terminal import Problem, say, write
from stoker.client.buildctl import BuildInput, is_remote
from stoker.client.errors import ApiError
from stoker.client.run import INTERRUPTED, BuildOutcome, run_build
from stoker.domain.platforms import Platform

if TYPE_CHECKING:
    from stoker.client.calls import Caller

_ARM_NAMES = ("aarch64", "arm64")


@click.command("build")
@click.argument("path", default=".")
@click.option(
    "-f",
    "--file",
    "dockerfile",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The Dockerfile, if not PATH/Dockerfile.",
)
@click.option("-t", "--tag", "tags", multiple=True, help="Name of the image; can be repeated.")
@click.option("--platform", "platforms", default="", help="Platforms, such as linux/amd64,linux/arm64.")
@click.option(
    "--build-arg", "build_args", multiple=True, help="KEY=VALUE, or KEY for the environment's value; can be repeated."
)
@click.option("--secret", "secrets", multiple=True, help="id=NAME,src=FILE or id=NAME,env=VARIABLE.")
@click.option("-o", "--output", "outputs", multiple=True, help="Where the result goes, such as type=local,dest=FOLDER.")
@click.option("--target", help="Stage to build.")
@click.option("--no-cache", is_flag=True, help="Run every step, without the cache.")
@click.option("--project", "project_id", help="Id of the project. Default: DEPOT_PROJECT_ID, else depot.json.")
@click.option("--api-url", help="Address of the API. Default: DEPOT_API_URL, else your last login.")
@click.option(
    "--progress", type=click.Choice(["auto", "plain", "tty", "rawjson"]), default="auto", help="Form of the output."
)
@click.option(
    "--config", "config_file", type=click.Path(path_type=Path, dir_okay=False), help="TOML file with settings."
)
def command(
    path: str,
    dockerfile: Path | None,
    tags: tuple[str, ...],
    platforms: str,
    build_args: tuple[str, ...],
    secrets: tuple[str, ...],
    outputs: tuple[str, ...],
    target: str | None,
    no_cache: bool,  # noqa: FBT001
    project_id: str | None,
    api_url: str | None,
    progress: str,
    config_file: Path | None,
) -> None:
    """Build PATH on a machine of your project.

    PATH is a folder, or a Git or HTTP URL. Address and token come from DEPOT_API_URL and DEPOT_TOKEN, else from
    `stoker login`. The exit code is the build's.
    """
    build = BuildInput(
        context=_checked_context(path, dockerfile),
        dockerfile=dockerfile,
        tags=tags,
        platforms=tuple(part.strip() for part in platforms.split(",") if part.strip()),
        build_args=tuple(_with_value(argument) for argument in build_args),
        secrets=secrets,
        outputs=outputs,
        target=target,
        no_cache=no_cache,
        progress=progress,
    )
    settings = effective_settings(config_file, {}).values
    caller = resolve_caller(api_url)
    outcome = _build(caller, build, project_id or project_or_environment(path), require_engine(settings).buildctl)
    if outcome.digest:
        say(f"image {outcome.digest}")
    sys.exit(outcome.exit_code)


def _build(caller: Caller, build: BuildInput, project_id: str, buildctl: Path) -> BuildOutcome:
    machine = machine_platform(build.platforms)
    work = run_build(
        caller.url,
        caller.token,
        project_id,
        machine,
        build,
        buildctl=buildctl,
        say=lambda text: write(text, err=True),
    )
    try:
        return asyncio.run(work)
    except ApiError as error:
        raise Problem(str(error), hint_for(error)) from error
    except KeyboardInterrupt:
        write("canceled", err=True)
        sys.exit(INTERRUPTED)


def machine_platform(platforms: tuple[str, ...]) -> Platform:
    """The machine to build on: the only platform's own, else this host's, which emulates the others."""
    architectures = {platform.partition("/")[2].partition("/")[0] for platform in platforms}
    own = "arm64" if host.machine() in _ARM_NAMES else "amd64"
    wanted = architectures.pop() if len(architectures) == 1 else own
    for platform in Platform:
        if platform.architecture == wanted:
            return platform
    known = ", ".join(Platform)
    raise Problem(f"there are no machines for {platforms[0]}", f"use one or more of: {known}")


def _checked_context(path: str, dockerfile: Path | None) -> str:
    if is_remote(path):
        return path
    if not Path(path).is_dir():
        raise Problem(f'"{path}" is not a folder', "give the folder that holds your Dockerfile and its files")
    file = dockerfile or Path(path) / "Dockerfile"
    if not file.is_file():
        raise Problem(f"there is no {file}", "name the Dockerfile with --file")
    return path


def _with_value(argument: str) -> str:
    name, separator, _ = argument.partition("=")
    return argument if separator else f"{name}={os.environ.get(name, '')}"


def project_or_environment(path: str) -> str:
    """The project that DEPOT_PROJECT_ID names, or a folder's depot.json.

    Raises:
        Problem: neither does.
    """
    named = os.environ.get("DEPOT_PROJECT_ID", "")
    if named:
        return named
    with suppress(OSError, ValueError):
        content = json.loads((Path(path) / "depot.json").read_text())
        if isinstance(content, dict) and isinstance(content.get("id"), str):  # pyright: ignore[reportUnknownMemberType]
            return str(content["id"])  # pyright: ignore[reportUnknownArgumentType]
    raise Problem("no project is named", "use --project, DEPOT_PROJECT_ID, or a depot.json with an id")
