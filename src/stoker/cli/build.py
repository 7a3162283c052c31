"""`stoker build`: build through the API and the gateway.

It is typed all day, so it imports only what every build needs; `tests/cli/test_imports.py` has the list.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stoker.cli import build_options as options
from stoker.cli.buildctl_choice import choose_buildctl
from stoker.cli.connecting import resolve_caller
from stoker.cli.machine_choice import machine_platform
from stoker.cli.project_choice import project_or_environment
from stoker.cli.terminal import Problem, say, tell
from stoker.client.buildctl import BuildInput, is_remote
from stoker.client.errors import ApiError
from stoker.client.results import write_image_id, write_metadata
from stoker.client.run import INTERRUPTED, BuildOutcome, run_build
from stoker.domain.ids import is_id

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

    from stoker.client.calls import Caller

_FILE = click.Path(path_type=Path, dir_okay=False)
_ANY_FILE = click.Path(path_type=Path)


@click.command("build")
@click.argument("path", default=".")
@click.option("-f", "--file", "dockerfile", type=_FILE, help="The Dockerfile, if not PATH/Dockerfile.")
@click.option("-t", "--tag", "tags", multiple=True, help="Name of the image; can be repeated.")
@click.option("--push", is_flag=True, help="Push the image to the registries of its tags.")
@click.option("--load", is_flag=True, help="Load the image into the Docker of this machine.")
@click.option(
    "-o", "--output", "outputs", multiple=True, help="Where the result goes: a folder, or such as type=oci,dest=FILE."
)
@click.option(
    "--platform", "platforms", default="", show_default=False, help="Platforms, such as linux/amd64,linux/arm64."
)
@click.option(
    "--build-arg", "build_args", multiple=True, help="KEY=VALUE, or KEY for the environment's value; can be repeated."
)
@click.option("--build-context", "contexts", multiple=True, help="NAME=FOLDER, NAME=URL or NAME=docker-image://IMAGE.")
@click.option("--secret", "secrets", multiple=True, help="id=NAME,src=FILE or id=NAME,env=VARIABLE.")
@click.option("--ssh", multiple=True, help="default for your SSH agent, or NAME=KEY.")
@click.option("--label", "labels", multiple=True, help="NAME=VALUE, a label of the image.")
@click.option("--target", help="Stage to build.")
@click.option("--no-cache", is_flag=True, help="Run every step, without the cache.")
@click.option("--pull", is_flag=True, help="Look for newer base images.")
@click.option("--cache-from", multiple=True, help="A cache to read besides the project's, such as an image's name.")
@click.option("--cache-to", multiple=True, help="Where to write the cache as well, such as type=registry,ref=IMAGE.")
@click.option("--provenance", is_flag=False, flag_value="true", help="Attest how it was built: true, or mode=max.")
@click.option("--sbom", is_flag=False, flag_value="true", help="Attest what is in the image: true, or generator=IMAGE.")
@click.option("--allow", multiple=True, help="A privilege of steps, such as network.host.")
@click.option("--metadata-file", type=_ANY_FILE, help="File for the result's metadata, as JSON.")
@click.option("--iidfile", type=_ANY_FILE, help="File for the image's id.")
@click.option("-q", "--quiet", is_flag=True, help="Print only the image's digest.")
@click.option(
    "--progress", type=click.Choice(["auto", "plain", "tty", "rawjson"]), default="auto", help="Form of the output."
)
@click.option("--project", "project_id", help="Name or id of the project. Default: DEPOT_PROJECT_ID, else depot.json.")
@click.option("--api-url", help="Address of the API. Default: DEPOT_API_URL, else your last login.")
@click.option("--config", "config_file", type=_FILE, help="TOML file with settings.")
def command(
    path: str,
    dockerfile: Path | None,
    tags: tuple[str, ...],
    push: bool,  # noqa: FBT001
    load: bool,  # noqa: FBT001
    outputs: tuple[str, ...],
    platforms: str,
    build_args: tuple[str, ...],
    contexts: tuple[str, ...],
    secrets: tuple[str, ...],
    ssh: tuple[str, ...],
    labels: tuple[str, ...],
    target: str | None,
    no_cache: bool,  # noqa: FBT001
    pull: bool,  # noqa: FBT001
    cache_from: tuple[str, ...],
    cache_to: tuple[str, ...],
    provenance: str | None,
    sbom: str | None,
    allow: tuple[str, ...],
    metadata_file: Path | None,
    iidfile: Path | None,
    quiet: bool,  # noqa: FBT001
    progress: str,
    project_id: str | None,
    api_url: str | None,
    config_file: Path | None,
) -> None:
    """Build PATH on a machine of your project.

    PATH is a folder, or a Git or HTTP URL. Address and token come from DEPOT_API_URL and DEPOT_TOKEN, else from
    `stoker login`. The exit code is the build's.
    """
    wanted = tuple(part.strip() for part in platforms.split(",") if part.strip())
    machine = machine_platform(wanted)
    results = options.checked_outputs(outputs, tags, wanted, push=push, load=load)
    folders, others = options.checked_contexts(contexts)
    options.check_file_to_write("--metadata-file", metadata_file)
    options.check_file_to_write("--iidfile", iidfile)
    build = BuildInput(
        context=_checked_context(path, dockerfile),
        dockerfile=dockerfile,
        tags=tags,
        platforms=wanted,
        build_args=options.checked_build_args(build_args),
        labels=options.checked_labels(labels),
        folders=folders,
        contexts=others,
        secrets=options.checked_secrets(secrets),
        ssh=options.checked_ssh(ssh),
        outputs=results.values,
        target=target,
        no_cache=no_cache,
        pull=pull,
        cache_from=options.checked_cache("--cache-from", cache_from),
        cache_to=options.checked_cache("--cache-to", cache_to),
        attestations=options.checked_attestations(provenance, sbom, load=load),
        allow=options.checked_allow(allow),
        load=load,
        progress="quiet" if quiet else progress,
    )
    caller = resolve_caller(api_url)
    project = _project_id(caller, project_id or project_or_environment(path))
    buildctl = choose_buildctl(config_file)
    work = run_build(
        caller.url, caller.token, project, machine, build, buildctl=buildctl, say=_silence if quiet else tell
    )
    outcome = _outcome(work)
    if metadata_file is not None:
        write_metadata(metadata_file, outcome, project)
    if iidfile is not None and outcome.exit_code == 0:
        write_image_id(iidfile, outcome)
    if outcome.exit_code == 0 and not results.are_kept and not quiet:
        tell("the image stays in the project's cache; --push, --load or --output says where else it goes")
    if outcome.digest:
        show = tell if results.to_stdout else say
        show(outcome.digest if quiet else f"image {outcome.digest}")
    sys.exit(outcome.exit_code)


def _outcome(work: Coroutine[Any, Any, BuildOutcome]) -> BuildOutcome:
    try:
        return asyncio.run(work)
    except ApiError as error:
        raise Problem(str(error), _hint(error)) from error
    except OSError as error:
        raise Problem(f"{error.filename or 'a file'} can't be used: {error.strerror or error}") from error
    except KeyboardInterrupt:
        tell("canceled")
        sys.exit(INTERRUPTED)


def _hint(error: ApiError) -> str:
    from stoker.cli.remote import hint_for

    return hint_for(error)


def _silence(_: str) -> None:
    pass


def _project_id(caller: Caller, named: str) -> str:
    if is_id(named):
        return named
    from stoker.cli.remote import Remote

    return Remote(caller).project_id(named)


def _checked_context(path: str, dockerfile: Path | None) -> str:
    if is_remote(path):
        return path
    if not Path(path).is_dir():
        raise Problem(f'"{path}" is not a folder', "give the folder that holds your Dockerfile and its files")
    file = dockerfile or Path(path) / "Dockerfile"
    if not file.is_file():
        raise Problem(f"there is no {file}", "name the Dockerfile with --file")
    return path
