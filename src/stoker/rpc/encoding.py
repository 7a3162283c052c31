"""Between wire messages and domain values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protobuf.wkt import Timestamp

from stoker._gen.depot.buildkit.v1.buildkit_pb import Platform as BuildKitPlatform
from stoker._gen.depot.cli.v1.build_pb import BuilderPlatform
from stoker._gen.depot.core.v1 import project_pb
from stoker.domain.cache_policy import GIGABYTE, CachePolicyChange
from stoker.domain.errors import InvalidInput
from stoker.domain.hardware import Hardware
from stoker.domain.platforms import Platform

if TYPE_CHECKING:
    from datetime import datetime

    from stoker.domain.projects import Project

_PLATFORMS = {1: Platform.AMD64, 2: Platform.ARM64}
_HARDWARE = {
    project_pb.Hardware.HARDWARE_4X4: Hardware.SIZE_4X4,
    project_pb.Hardware.HARDWARE_4X8: Hardware.SIZE_4X8,
    project_pb.Hardware.HARDWARE_8X8: Hardware.SIZE_8X8,
    project_pb.Hardware.HARDWARE_8X16: Hardware.SIZE_8X16,
    project_pb.Hardware.HARDWARE_16X32: Hardware.SIZE_16X32,
    project_pb.Hardware.HARDWARE_32X64: Hardware.SIZE_32X64,
    project_pb.Hardware.HARDWARE_64X128: Hardware.SIZE_64X128,
    project_pb.Hardware.HARDWARE_96X192: Hardware.SIZE_96X192,
    project_pb.Hardware.HARDWARE_192X384: Hardware.SIZE_192X384,
}
_HARDWARE_ON_WIRE = {hardware: wire for wire, hardware in _HARDWARE.items()}


def decode_moment(moment: Timestamp | None, what: str) -> datetime | None:
    """A time that a request names, in the field ``what``; None when it names none.

    Raises:
        InvalidInput: it is outside of the years 1 to 9999.
    """
    try:
        return None if moment is None else moment.to_datetime()
    except OverflowError as error:
        raise InvalidInput(f"{what} is not a time between the years 1 and 9999") from error


def decode_platform(platform: BuildKitPlatform | BuilderPlatform) -> Platform:
    """The platform that a request names.

    Raises:
        InvalidInput: it names none, or one that we don't know.
    """
    known = _PLATFORMS.get(int(platform))
    if known is None:
        prefix = "BUILDER_PLATFORM" if isinstance(platform, BuilderPlatform) else "PLATFORM"
        raise InvalidInput(f"platform is not given or not known; use {prefix}_AMD64 or {prefix}_ARM64")
    return known


def decode_hardware(hardware: project_pb.Hardware | None) -> Hardware | None:
    """The hardware that a request names; None for the default.

    Raises:
        InvalidInput: it is one that we don't know.
    """
    if hardware is None or hardware == project_pb.Hardware.UNSPECIFIED:
        return None
    known = _HARDWARE.get(hardware)
    if known is None:
        names = ", ".join(wire.name for wire in _HARDWARE)
        raise InvalidInput(f"hardware {int(hardware)} is not known; use one of: {names}")
    return known


def decode_cache_policy(policy: project_pb.CachePolicy | None, *, new: bool = False) -> CachePolicyChange | None:
    """The parts of a cache policy that a request names.

    ``keep_gb`` is the older spelling of ``keep_bytes`` and counts only where that is absent. No ``keep_days`` are no
    limit in a new project, as the depot CLI has it; later they leave what was, since a request can't tell 0 from none.
    """
    if policy is None:
        return None
    keep_bytes = policy.keep_gb * GIGABYTE or None
    if policy.has_field("keep_bytes"):
        keep_bytes = policy.keep_bytes
    return CachePolicyChange(keep_bytes=keep_bytes, keep_days=policy.keep_days if new else policy.keep_days or None)


def encode_moment(moment: datetime | None) -> Timestamp | None:
    """A time as it goes over the wire; None stays absent."""
    return None if moment is None else Timestamp.from_datetime(moment)


def encode_project(project: Project) -> project_pb.Project:
    """A project as it goes over the wire."""
    policy = project.cache_policy
    return project_pb.Project(
        project_id=project.id,
        organization_id=project.organization_id,
        name=project.name,
        region_id=project.region_id,
        created_at=Timestamp.from_datetime(project.created_at),
        cache_policy=project_pb.CachePolicy(
            keep_bytes=policy.keep_bytes, keep_days=policy.keep_days, keep_gb=policy.keep_bytes // GIGABYTE
        ),
        hardware=_HARDWARE_ON_WIRE[project.hardware],
    )
