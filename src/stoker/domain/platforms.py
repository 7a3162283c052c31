"""The two platforms that a machine can be asked for."""

from __future__ import annotations

from enum import StrEnum


class Platform(StrEnum):
    """A build platform; the value is what OCI calls it."""

    AMD64 = "linux/amd64"
    ARM64 = "linux/arm64"

    @property
    def architecture(self) -> str:
        """The OCI architecture, such as ``amd64``."""
        return self.value.partition("/")[2]


# Other names of architectures (containerd/platforms).
_ALIASES = {"x86_64": "amd64", "x86-64": "amd64", "aarch64": "arm64"}


def platforms_in(option: str) -> frozenset[Platform]:
    """Those that a frontend's ``platform`` option names: ``linux/amd64,linux/arm64/v8``, ``arm64``.

    What else it names is left out.
    """
    found: set[Platform] = set()
    for name in option.lower().split(","):
        parts = name.strip().split("/")
        system, architecture = ("linux", parts[0]) if len(parts) == 1 else parts[:2]
        value = f"{system}/{_ALIASES.get(architecture, architecture)}"
        found.update(platform for platform in Platform if platform.value == value)
    return frozenset(found)
