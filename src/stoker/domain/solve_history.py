"""BuildKit's history of a finished solve: attestations such as its provenance, and the Dockerfile."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

from stoker.domain.dockerfile import mask_dockerfile
from stoker.domain.masking import MASK, mask_arguments, mask_secrets
from stoker.domain.secret_names import looks_secret

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from stoker.domain.steps import Step

_ARGUMENT = "build-arg:"
_LEAST_SECRET = 6


@dataclass(frozen=True, slots=True)
class Attestation:
    """An attestation of a solve's result: a JSON document, such as a provenance or an SBOM.

    Attributes:
        predicate_type: what it is, as a URL.
        platform: what it is about, where the solve had several results; empty otherwise.
    """

    predicate_type: str
    platform: str
    content: bytes

    @property
    def kind(self) -> str:
        """Its kind in a word."""
        for word, kind in (("provenance", "provenance"), ("spdx", "SBOM"), ("cyclonedx", "SBOM")):
            if word in self.predicate_type.lower():
                return kind
        return "attestation"


@dataclass(frozen=True, slots=True)
class SolveHistory:
    """BuildKit's history of a solve.

    Attributes:
        dockerfiles: contents by name.
        secrets: values of build arguments whose names look like a secret's, the longest first. They are never stored.
    """

    attestations: tuple[Attestation, ...] = ()
    dockerfiles: tuple[tuple[str, str], ...] = ()
    secrets: tuple[str, ...] = field(default=(), repr=False)


def dockerfiles_of_provenance(content: bytes) -> list[tuple[str, str]]:
    """The Dockerfiles in a provenance of BuildKit, by name; none where it has none
    (https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md).
    """
    return [
        file
        for part in _objects(_decoded(content))
        for info in _list(_object(part.get("source")).get("infos"))
        if (file := _file(_object(info).get("filename"), _object(info).get("data"))) is not None
    ]


def dockerfile_of_error(content: bytes) -> tuple[str, str] | None:
    """The Dockerfile in a detail of a solve's error, which BuildKit writes as JSON; None where it has none."""
    info = _object(_object(_decoded(content)).get("info"))
    return _file(info.get("filename"), info.get("data"))


def secret_arguments(content: bytes) -> list[str]:
    """The values in a JSON document of build arguments whose names look like a secret's, the longest first."""
    found = {
        value
        for part in _objects(_decoded(content))
        for name, value in part.items()
        if _is_secret(name) and isinstance(value, str) and len(value) >= _LEAST_SECRET
    }
    return sorted(found, key=lambda value: (-len(value), value))


def without_secrets(content: bytes) -> bytes | None:
    """A JSON document with masks in place of build arguments that look like secrets, wherever their values are.

    None for one that is nested too deeply to be looked through: anybody can attest anything of an image.
    """
    try:
        document: object = json.loads(content)
        masked = _masked(document, secret_arguments(content))
        return content if masked == document else json.dumps(masked, indent=2).encode()
    except RecursionError:
        return None
    except ValueError:
        return content


def masked_step(step: Step, secrets: Collection[str]) -> Step:
    """A step with a mask in place of each secret. The key of its work stays, so that builds can be compared."""
    if not secrets:
        return step
    return replace(
        step,
        name=_mask_values(step.name, secrets),
        group=_mask_values(step.group, secrets),
        error=None if step.error is None else _mask_values(step.error, secrets),
    )


def _mask_values(text: str, secrets: Iterable[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, MASK)
    return text


def _is_secret(name: str) -> bool:
    return name.startswith(_ARGUMENT) and looks_secret(name.removeprefix(_ARGUMENT))


def _masked(value: object, secrets: list[str], name: str = "") -> object:
    if isinstance(value, dict):
        found = cast("dict[str, object]", value)
        return {key: _masked(one, secrets, key) for key, one in found.items()} | _masked_source(found)
    if isinstance(value, list):
        return _masked_list(cast("list[object]", value), secrets)
    if not isinstance(value, str):
        return value
    return MASK if _is_secret(name) else mask_secrets(_mask_values(value, secrets))


def _masked_source(part: dict[str, object]) -> dict[str, object]:
    """The Dockerfile of a part that has one, with masks."""
    file = _file(part.get("filename"), part.get("data"))
    if file is None or (masked := mask_dockerfile(file[1])) == file[1]:
        return {}
    return {"data": base64.b64encode(masked.encode()).decode()}


def _masked_list(values: list[object], secrets: list[str]) -> list[object]:
    masked = [_masked(one, secrets) for one in values]
    # Such as the arguments of a process.
    texts = [one for one in masked if isinstance(one, str)]
    return list(mask_arguments(texts)) if 1 < len(texts) == len(masked) else masked


def _file(name: object, data: object) -> tuple[str, str] | None:
    if not isinstance(name, str) or not isinstance(data, str) or not name:
        return None
    try:
        return name, base64.b64decode(data, validate=True).decode(errors="replace")
    except binascii.Error:
        return None


def _decoded(content: bytes) -> object:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def _objects(value: object) -> Iterator[dict[str, Any]]:
    """All objects in a document."""
    ahead = [value]
    while ahead:
        one = ahead.pop()
        if isinstance(one, dict):
            found = cast("dict[str, Any]", one)
            yield found
            ahead.extend(found.values())
        elif isinstance(one, list):
            ahead.extend(cast("list[object]", one))


def _object(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []
