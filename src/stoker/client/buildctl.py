"""The command line of buildctl for a build. Flags are buildctl's (`buildctl build --help`), options the Dockerfile
frontend's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_REMOTE_PREFIXES = ("https://", "http://", "git://", "ssh://", "git@")


@dataclass(frozen=True, slots=True)
class BuildInput:
    """The arguments of `stoker build`, checked.

    Attributes:
        outputs: as buildctl takes them; none leaves an image in the cache of the machine.
        folders: named contexts that are folders, by their names.
        contexts: named contexts that BuildKit fetches itself, by their names.
        attestations: by their kind, with the value of the frontend's option.
    """

    context: str
    dockerfile: Path | None = None
    platforms: tuple[str, ...] = ()
    build_args: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ("type=image",)
    target: str | None = None
    no_cache: bool = False
    progress: str = "auto"
    tags: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    folders: tuple[tuple[str, str], ...] = ()
    contexts: tuple[tuple[str, str], ...] = ()
    cache_from: tuple[str, ...] = ()
    cache_to: tuple[str, ...] = ()
    ssh: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()
    attestations: tuple[tuple[str, str], ...] = ()
    pull: bool = False
    load: bool = False


@dataclass(frozen=True, slots=True)
class Connection:
    """How buildctl reaches the gateway."""

    buildctl: Path
    address: str
    server_name: str
    ca_certificate: Path
    certificate: Path
    private_key: Path


def is_remote(context: str) -> bool:
    """Whether BuildKit fetches a context itself."""
    return context.startswith(_REMOTE_PREFIXES)


def buildctl_command(connection: Connection, build: BuildInput, metadata: Path) -> list[str]:
    """The whole command line; buildctl writes what it knows of the result to ``metadata``."""
    command = [
        str(connection.buildctl),
        f"--addr={connection.address}",
        f"--tlsservername={connection.server_name}",
        f"--tlscacert={connection.ca_certificate}",
        f"--tlscert={connection.certificate}",
        f"--tlskey={connection.private_key}",
        "build",
        "--frontend=dockerfile.v0",
        f"--progress={build.progress}",
        f"--metadata-file={metadata}",
    ]
    command += _sources(build)
    if build.target:
        command.append(f"--opt=target={build.target}")
    if build.platforms:
        command.append(f"--opt=platform={','.join(build.platforms)}")
    command += [f"--opt=build-arg:{argument}" for argument in build.build_args]
    command += [f"--opt=label:{label}" for label in build.labels]
    command += [f"--opt=attest:{kind}={value}" for kind, value in build.attestations]
    command += [f"--secret={secret}" for secret in build.secrets]
    command += [f"--ssh={one}" for one in build.ssh]
    command += [f"--allow={one}" for one in build.allow]
    command += [f"--import-cache={one}" for one in build.cache_from]
    command += [f"--export-cache={one}" for one in build.cache_to]
    command += [f"--output={output}" for output in build.outputs]
    if build.pull:
        command.append("--opt=image-resolve-mode=pull")
    if build.no_cache:
        command.append("--no-cache")
    return command


def _sources(build: BuildInput) -> list[str]:
    named = [f"--opt=context:{name}={value}" for name, value in build.contexts]
    for number, (name, folder) in enumerate(build.folders):
        # Our own name for it: a context's name may be an image's, with slashes and colons.
        local = f"context-{number}"
        named += [f"--local={local}={folder}", f"--opt=context:{name}=local:{local}"]
    if is_remote(build.context):
        filename = [] if build.dockerfile is None else [f"--opt=filename={build.dockerfile}"]
        return [f"--opt=context={build.context}", *filename, *named]
    folder = build.context if build.dockerfile is None else str(build.dockerfile.parent)
    filename = "Dockerfile" if build.dockerfile is None else build.dockerfile.name
    return [
        f"--local=context={build.context}",
        f"--local=dockerfile={folder}",
        f"--opt=filename={filename}",
        *named,
    ]
