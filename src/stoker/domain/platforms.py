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
