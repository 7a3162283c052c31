"""The command line of buildctl for a build. Flags are buildctl's (`buildctl build --help`), options the Dockerfile
frontend's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_IMAGE_TYPES = frozenset({"type=image", "type=oci", "type=docker", "type=registry"})
_REMOTE_PREFIXES = ("https://", "http://", "git://", "ssh://", "git@")


@dataclass(frozen=True, slots=True)
class BuildInput:
    """The arguments of `stoker build`."""

    context: str
    dockerfile: Path | None = None
    tags: tuple[str, ...] = ()
    platforms: tuple[str, ...] = ()
    build_args: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    target: str | None = None
    no_cache: bool = False
    progress: str = "auto"


@dataclass(frozen=True, slots=True)
class Connection:
    """How buildctl reaches the gateway."""

    buildctl: Path
    address: str
    server_name: str
    ca_certificate: Path
    certificate: Path
    private_key: Path


@dataclass(frozen=True, slots=True)
class ResultFiles:
    """Files that buildctl writes results to."""

    metadata: Path
    trace: Path


def is_remote(context: str) -> bool:
    """Whether BuildKit fetches a context itself."""
    return context.startswith(_REMOTE_PREFIXES)


def buildctl_command(connection: Connection, build: BuildInput, results: ResultFiles) -> list[str]:
    """The whole command line."""
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
        f"--metadata-file={results.metadata}",
        f"--trace={results.trace}",
    ]
    command += _sources(build)
    if build.target:
        command.append(f"--opt=target={build.target}")
    if build.platforms:
        command.append(f"--opt=platform={','.join(build.platforms)}")
    command += [f"--opt=build-arg:{argument}" for argument in build.build_args]
    command += [f"--secret={secret}" for secret in build.secrets]
    command += [f"--output={output}" for output in _outputs(build)]
    if build.no_cache:
        command.append("--no-cache")
    return command


def _sources(build: BuildInput) -> list[str]:
    if is_remote(build.context):
        name = [] if build.dockerfile is None else [f"--opt=filename={build.dockerfile}"]
        return [f"--opt=context={build.context}", *name]
    folder = build.context if build.dockerfile is None else str(build.dockerfile.parent)
    name = "Dockerfile" if build.dockerfile is None else build.dockerfile.name
    return [f"--local=context={build.context}", f"--local=dockerfile={folder}", f"--opt=filename={name}"]


def _outputs(build: BuildInput) -> list[str]:
    """Where the result goes; by default an image that stays with the machine. Tags name every image among them."""
    names = ",".join(build.tags)
    name = f',"name={names}"' if "," in names else f",name={names}"
    return [
        f"{output}{name}" if names and _is_unnamed_image(output) else output
        for output in build.outputs or ("type=image",)
    ]


def _is_unnamed_image(output: str) -> bool:
    fields = [field.strip('"') for field in output.split(",")]
    is_image = not _IMAGE_TYPES.isdisjoint(fields)
    return is_image and not any(field.startswith("name=") for field in fields)
