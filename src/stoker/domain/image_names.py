"""Names of images: ``registry/repository:tag@digest``."""

from __future__ import annotations

_DOCKER_HUB = ("docker.io/", "index.docker.io/", "registry-1.docker.io/")
_OFFICIAL = "library/"


def short_image_name(name: str) -> str:
    """A name as people write it: without Docker Hub, which clients add (https://github.com/distribution/reference)."""
    for registry in _DOCKER_HUB:
        if name.startswith(registry):
            return name.removeprefix(registry).removeprefix(_OFFICIAL)
    return name


def name_without_registry(name: str) -> str:
    """The repository and tag of a name: ``acme/webshop:1.4.5`` of ``ghcr.io/acme/webshop:1.4.5@sha256:…``.

    As in Docker, the first part is a registry if it has a dot or a port, or is ``localhost``.
    """
    short = short_image_name(name).partition("@")[0]
    first, slash, rest = short.partition("/")
    is_registry = bool(slash) and bool(rest) and ("." in first or ":" in first or first == "localhost")
    return rest if is_registry else short
