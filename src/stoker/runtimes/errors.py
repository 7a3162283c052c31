"""What runtimes raise."""

from __future__ import annotations


class RuntimeFailed(Exception):
    """The base of a runtime's errors. The text is for the operator, not for API callers."""


class MachineStartFailed(RuntimeFailed):
    """A machine did not start."""


class NoRoomYet(RuntimeFailed):
    """There is no room for a machine now, but there can be later. The text is the reason, and users see it."""


class MachineStopFailed(RuntimeFailed):
    """Something of a machine is left after a stop."""


class VolumeFailed(RuntimeFailed):
    """An operation on the volumes' file system failed."""


class VolumeDeleteFailed(VolumeFailed):
    """Something of a volume is left after a delete."""


class VolumeNotMeasured(RuntimeFailed):
    """The size of a volume can't be told."""


class SnapshotsUnsupported(VolumeFailed):
    """Volumes can't be copied in an instant here."""


class RegionNotConfigured(RuntimeFailed):
    """The settings name no such region any more."""


class HostUnfit(RuntimeFailed):
    """The host lacks something without which no machine can run safely."""
