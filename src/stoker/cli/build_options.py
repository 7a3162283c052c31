"""Checks the options of `stoker build` before there is a build, and puts them into buildctl's words.

Their values have the form that `docker buildx build` takes: https://docs.docker.com/reference/cli/docker/buildx/build/.
"""

from __future__ import annotations

import csv
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from stoker.cli.terminal import Problem
from stoker.client.buildctl import is_remote

_IMAGE_TYPES = frozenset({"image", "oci", "docker"})
_WRITTEN = frozenset({"local", "tar", "oci", "docker"})
_NOTHING = "cacheonly"
_KNOWN = "local, tar, oci, docker, image, registry or cacheonly"
_ENTITLEMENTS = ("network.host", "security.insecure", "device")
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
# A reference to an image, by its tag or digest (https://github.com/distribution/reference).
_REFERENCE = re.compile(
    rf"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::\d+)?/|\[[0-9a-fA-F:]+\](?::\d+)?/)?{_PART}(?:/{_PART})*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@sha256:[0-9a-f]{64})?"
)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_STDOUT = "-"


@dataclass(frozen=True, slots=True)
class Outputs:
    """Where the result goes.

    Attributes:
        values: as buildctl takes them.
        to_stdout: whether one of them goes to stdout.
        are_kept: whether the result gets anywhere but into the machine's cache, or that was asked for.
    """

    values: tuple[str, ...]
    to_stdout: bool
    are_kept: bool


def checked_outputs(
    outputs: tuple[str, ...], tags: tuple[str, ...], platforms: tuple[str, ...], *, push: bool, load: bool
) -> Outputs:
    """The outputs in buildctl's words. Tags name every image among them.

    Args:
        outputs: the values of ``--output``.
        tags: names of the image.
        platforms: what is built for.
        push: whether to push the image to the registries of its tags.
        load: whether to load the image into this host's Docker; it comes on buildctl's stdout.

    Raises:
        Problem: one of them can't be done.
    """
    for tag in tags:
        if not _REFERENCE.fullmatch(tag):
            raise Problem(f'"{tag}" is not a name of an image', "use one in lower case, such as registry.example/app:1")
    found = [_output(text, tags) for text in outputs]
    if push:
        found = _pushed(found, tags)
    if load:
        _check_loading(found, platforms)
        found.append(_named({"type": "docker", "dest": _STDOUT}, tags))
    if any(one.get("push") == "true" and "name" not in one for one in found):
        raise Problem("an image without a name can't be pushed", "name it with --tag REGISTRY/NAME:TAG")
    to_stdout = sum(one.get("dest") == _STDOUT for one in found)
    if to_stdout > 1:
        raise Problem("only one output can go to stdout", "give the others a file, with dest=FILE")
    are_kept = any(one["type"] != "image" or one.get("push") == "true" for one in found)
    written = [_written(one) for one in found if one["type"] != _NOTHING]
    default = () if outputs else (_written(_named({"type": "image"}, tags)),)
    return Outputs(tuple(written) or default, bool(to_stdout), are_kept)


def _pushed(found: list[dict[str, str]], tags: tuple[str, ...]) -> list[dict[str, str]]:
    """The outputs with every image pushed, and one more where there is no image."""
    if any(one["type"] == "image" for one in found):
        return [{**one, "push": "true"} if one["type"] == "image" else one for one in found]
    return [*found, _named({"type": "image", "push": "true"}, tags)]


def _named(fields: dict[str, str], tags: tuple[str, ...]) -> dict[str, str]:
    return {**fields, "name": ",".join(tags)} if tags and "name" not in fields else fields


def _output(text: str, tags: tuple[str, ...]) -> dict[str, str]:
    if text == _STDOUT:
        fields = {"type": "tar", "dest": _STDOUT}
    elif "=" not in text:
        fields = {"type": "local", "dest": text}
    else:
        fields = _fields(text, "--output")
    kind = fields.get("type", "")
    if kind == "registry":
        fields["type"], fields["push"] = "image", "true"
    elif kind not in _IMAGE_TYPES | _WRITTEN | {_NOTHING}:
        wrong = f'there is no output of type "{kind}"' if kind else f'"{text}" has no type'
        raise Problem(f"--output: {wrong}", f"use type={_KNOWN}")
    if kind in _WRITTEN:
        _check_destination(text, kind, fields)
    return _named(fields, tags) if fields["type"] in _IMAGE_TYPES else fields


def _check_destination(text: str, kind: str, fields: dict[str, str]) -> None:
    is_folder = kind == "local" or fields.get("tar") == "false"
    wanted = "a folder" if is_folder else "a file"
    destination = fields.get("dest") or (_STDOUT if kind in _IMAGE_TYPES and not is_folder else "")
    if not destination:
        raise Problem(f'--output: "{text}" has no dest', f"name {wanted} with dest=PATH")
    if destination == _STDOUT:
        if is_folder:
            raise Problem("a folder can't be written to stdout", "use type=tar,dest=-")
        if os.isatty(1):
            raise Problem("an archive is not written to a terminal", "name a file with dest=FILE, or pipe it on")
        fields["dest"] = _STDOUT
        return
    path = Path(destination).absolute()
    if is_folder:
        place = next(one for one in (path, *path.parents) if one.exists())
        if not place.is_dir():
            raise Problem(f'--output: "{place}" is not a folder', "name another place with dest=FOLDER")
    else:
        place = path if path.exists() else path.parent
        if path.is_dir() or not path.parent.is_dir():
            wrong = f'"{path}" is a folder' if path.is_dir() else f'"{path.parent}" is not a folder'
            raise Problem(f"--output: {wrong}", "name a file in a folder that exists, with dest=FILE")
    if not os.access(place, os.W_OK):
        raise Problem(f"--output: {place} can't be written", "choose another place, or change its permissions")


def _check_loading(found: list[dict[str, str]], platforms: tuple[str, ...]) -> None:
    if len(platforms) > 1:
        raise Problem("--load takes an image of one platform", "build for one platform, or use --push")
    if shutil.which("docker") is None:
        raise Problem(
            "--load needs the docker command", "install it, or write a file with --output type=docker,dest=FILE"
        )
    if any(one.get("dest") == _STDOUT for one in found):
        raise Problem("--load and an output to stdout exclude each other", "give that output a file, with dest=FILE")


def checked_secrets(secrets: tuple[str, ...]) -> tuple[str, ...]:
    """The secrets in buildctl's words.

    Raises:
        Problem: one has no id, or its file or variable is not there.
    """
    return tuple(_secret(text) for text in secrets)


def _secret(text: str) -> str:
    fields = _fields(text, "--secret")
    name, source = fields.get("id", ""), fields.get("src") or fields.get("source") or ""
    kind, variable = fields.get("type", ""), fields.get("env", "")
    if not name:
        raise Problem(f'--secret: "{text}" has no id', "use id=NAME,src=FILE or id=NAME,env=VARIABLE")
    if kind == "env" and source:
        source, variable = "", source
    if not source and not variable:
        # As buildx does.
        source, variable = ("", name) if name in os.environ else (name, "")
    if variable and variable not in os.environ:
        raise Problem(f"--secret: the variable {variable} is not set", f"set it, or use id={name},src=FILE")
    if source and not Path(source).expanduser().is_file():
        raise Problem(f"--secret: there is no file {source}", f"use id={name},src=FILE or id={name},env=VARIABLE")
    return _written({"id": name, **({"env": variable} if variable else {"src": str(Path(source).expanduser())})})


def checked_ssh(wanted: tuple[str, ...]) -> tuple[str, ...]:
    """The SSH agents and keys in buildctl's words.

    Raises:
        Problem: there is no agent, or no such file.
    """
    for text in wanted:
        name, _, paths = text.partition("=")
        if not paths and not os.environ.get("SSH_AUTH_SOCK"):
            hint = f"start one (`eval $(ssh-agent)`), or name a key with --ssh {name}=FILE"
            raise Problem("--ssh: no SSH agent is running here", hint)
        for path in filter(None, paths.split(",")):
            if not Path(path).exists():
                raise Problem(f"--ssh: there is no {path}", f"name a socket or a key with --ssh {name}=PATH")
    return wanted


def checked_contexts(
    wanted: tuple[str, ...],
) -> tuple[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]:
    """Named contexts: those that are folders, and those that BuildKit fetches itself.

    Raises:
        Problem: one is neither.
    """
    folders: list[tuple[str, str]] = []
    others: list[tuple[str, str]] = []
    for text in wanted:
        name, separator, value = text.partition("=")
        if not separator or not name or not value:
            raise Problem(
                f'--build-context: "{text}" is not NAME=VALUE', "use NAME=FOLDER, NAME=URL or NAME=docker-image://IMAGE"
            )
        if is_remote(value) or value.startswith(("docker-image://", "target:")):
            others.append((name, value))
        elif value.startswith("oci-layout://"):
            raise Problem("--build-context takes no oci-layout://", "push that image, and use docker-image://IMAGE")
        elif Path(value).is_dir():
            folders.append((name, value))
        else:
            raise Problem(
                f'--build-context: "{value}" is not a folder', "use NAME=FOLDER, NAME=URL or NAME=docker-image://IMAGE"
            )
    return tuple(folders), tuple(others)


def checked_cache(option: str, wanted: tuple[str, ...]) -> tuple[str, ...]:
    """Caches to read or write, in buildctl's words. A bare name is an image in a registry.

    Raises:
        Problem: one has no type.
    """
    found: list[str] = []
    for text in wanted:
        if "=" not in text:
            found.append(_written({"type": "registry", "ref": text}))
            continue
        fields = _fields(text, option)
        if not fields.get("type"):
            raise Problem(f'{option}: "{text}" has no type', "use type=registry,ref=IMAGE, or only IMAGE")
        found.append(text)
    return tuple(found)


def checked_build_args(wanted: tuple[str, ...]) -> tuple[str, ...]:
    """Build arguments with their values; a name alone has the environment's, and is left out where it has none.

    Raises:
        Problem: one has no name.
    """
    found: list[str] = []
    for text in wanted:
        name, separator, _ = text.partition("=")
        if not _NAME.fullmatch(name):
            raise Problem(f'--build-arg: "{text}" has no name', "use NAME=VALUE, or NAME for the environment's value")
        if separator:
            found.append(text)
        elif name in os.environ:
            found.append(f"{name}={os.environ[name]}")
    return tuple(found)


def checked_labels(wanted: tuple[str, ...]) -> tuple[str, ...]:
    """Labels of the image.

    Raises:
        Problem: one has no name.
    """
    for text in wanted:
        if text.startswith("=") or not text:
            raise Problem(f'--label: "{text}" has no name', "use NAME=VALUE")
    return tuple(text if "=" in text else f"{text}=" for text in wanted)


def checked_attestations(provenance: str | None, sbom: str | None, *, load: bool) -> tuple[tuple[str, str], ...]:
    """The attestations of an image, by their kind, as the Dockerfile frontend takes them.

    Raises:
        Problem: a value is not known, or Docker would get them.
    """
    found: list[tuple[str, str]] = []
    for kind, value, by_default in (("provenance", provenance, "mode=min"), ("sbom", sbom, "")):
        if value is None or value == "false":
            continue
        if value != "true" and "=" not in value:
            raise Problem(
                f'--{kind}: "{value}" is not known', f"use --{kind}=true, false or NAME=VALUE, such as mode=max"
            )
        found.append((kind, by_default if value == "true" else value))
    if found and load:
        raise Problem("--load takes no attestations", "leave --provenance and --sbom out, or use --push")
    return tuple(found)


def checked_allow(wanted: tuple[str, ...]) -> tuple[str, ...]:
    """Privileges that the build asks for.

    Raises:
        Problem: one doesn't exist.
    """
    for one in wanted:
        if one.partition("=")[0] not in _ENTITLEMENTS:
            raise Problem(f'--allow: there is no privilege "{one}"', f"use one of: {', '.join(_ENTITLEMENTS)}")
    return wanted


def check_file_to_write(option: str, file: Path | None) -> None:
    """Check that a file can be written.

    Raises:
        Problem: it is a folder, or in none.
    """
    if file is not None and (file.is_dir() or not file.absolute().parent.is_dir()):
        where = f'"{file}" is a folder' if file.is_dir() else f'"{file.parent}" is not a folder'
        raise Problem(f"{option}: {where}", "name a file in a folder that exists")


def _fields(text: str, option: str) -> dict[str, str]:
    """The fields of a value such as ``type=local,dest=out``, which is a line of CSV."""
    try:
        (parts,) = csv.reader([text], strict=True)
    except (csv.Error, ValueError) as error:
        raise Problem(f'{option}: "{text}" is not NAME=VALUE,NAME=VALUE', "write it without line ends") from error
    found: dict[str, str] = {}
    for part in parts:
        name, separator, value = part.partition("=")
        if not separator or not name:
            raise Problem(
                f'{option}: "{part}" is not NAME=VALUE', "separate fields by commas, such as type=local,dest=out"
            )
        found[name.strip().lower()] = value
    return found


def _written(fields: dict[str, str]) -> str:
    # buildctl writes to stdout where there is no dest.
    parts = [f"{name}={value}" for name, value in fields.items() if (name, value) != ("dest", _STDOUT)]
    return ",".join(f'"{part.replace(chr(34), chr(34) * 2)}"' if set(part) & set(',"\n') else part for part in parts)
