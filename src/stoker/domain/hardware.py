"""Machine sizes, as `depot.core.v1.Hardware` names them (wire.json)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

GIBIBYTE = 1024**3


class Hardware(StrEnum):
    """A machine's size: CPUs by gibibytes of memory."""

    SIZE_4X4 = "4x4"
    SIZE_4X8 = "4x8"
    SIZE_8X8 = "8x8"
    SIZE_8X16 = "8x16"
    SIZE_16X32 = "16x32"
    SIZE_32X64 = "32x64"
    SIZE_64X128 = "64x128"
    SIZE_96X192 = "96x192"
    SIZE_192X384 = "192x384"

    @property
    def size(self) -> MachineSize:
        """The size that the name stands for."""
        cpus, _, gibibytes = self.value.partition("x")
        return MachineSize(cpus=int(cpus), memory_bytes=int(gibibytes) * GIBIBYTE)


@dataclass(frozen=True, slots=True)
class MachineSize:
    """CPUs and memory (bytes) of one machine."""

    cpus: int
    memory_bytes: int


DEFAULT_HARDWARE = Hardware.SIZE_16X32
