"""The two platforms of machines."""

from __future__ import annotations

from enum import StrEnum

from stoker.domain.errors import InvalidInput


class Platform(StrEnum):
    """A build platform; the value is what OCI calls it."""

    AMD64 = "linux/amd64"
    ARM64 = "linux/arm64"

    @property
    def architecture(self) -> str:
        """The OCI architecture, such as ``amd64``."""
        return self.value.partition("/")[2]


# Other names of architectures (uname(2), containerd/platforms).
_ALIASES = {"x86_64": "amd64", "x86-64": "amd64", "aarch64": "arm64"}


def platform_of(architecture: str) -> Platform | None:
    """The platform of an architecture, by any of its names: ``arm64``, ``aarch64``."""
    name = _ALIASES.get(architecture, architecture)
    return next((platform for platform in Platform if platform.architecture == name), None)


def platform_named(name: str) -> Platform | None:
    """The platform of a name such as ``linux/amd64``; None for no name.

    Raises:
        InvalidInput: there are no machines for it.
    """
    if not name:
        return None
    try:
        return Platform(name)
    except ValueError:
        known = ", ".join(Platform)
        raise InvalidInput(f'there are no machines for the platform "{name[:40]}"; use one of: {known}') from None
