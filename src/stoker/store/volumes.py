"""Volumes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Row, and_, delete, func, insert, or_, select, update

from stoker.domain.machines import MachineState
from stoker.domain.platforms import Platform
from stoker.domain.volume_caps import UntrustedVolume
from stoker.domain.volumes import Volume, VolumeState, states_before
from stoker.store.tables.machines import cache_contents, machines, volumes
from stoker.store.tables.organizations import projects

if TYPE_CHECKING:
    from datetime import datetime

    from stoker.store.database import Transaction


def _volume(row: Row[Any]) -> Volume:
    return Volume(
        id=row.id,
        project_id=row.project_id,
        platform=Platform(row.platform),
        region_id=row.region_id,
        state=VolumeState(row.state),
        failures=row.failures,
        retry_at=row.retry_at,
        build_id=row.build_id,
        to_copy=row.to_copy,
    )


def _may_become(target: VolumeState) -> ColumnElement[bool]:
    return volumes.c.state.in_([state.value for state in states_before(target)])


async def add_volume(tx: Transaction, volume: Volume, now: datetime) -> None:
    """Store a new volume."""
    await tx.execute(
        insert(volumes).values(
            id=volume.id,
            project_id=volume.project_id,
            platform=volume.platform.value,
            region_id=volume.region_id,
            state=volume.state.value,
            created_at=now,
            failures=volume.failures,
            build_id=volume.build_id,
            to_copy=volume.to_copy,
        )
    )


async def active_volume(tx: Transaction, project_id: str, platform: Platform) -> Volume | None:
    """The volume that the next start of a (project, platform)'s machine uses."""
    query = select(volumes).where(
        volumes.c.project_id == project_id,
        volumes.c.platform == platform.value,
        volumes.c.state == VolumeState.ACTIVE.value,
        volumes.c.build_id.is_(None),
    )
    row = (await tx.execute(query)).one_or_none()
    return None if row is None else _volume(row)


async def active_volume_of_build(tx: Transaction, build_id: str, platform: Platform) -> Volume | None:
    """The volume that an untrusted build has to itself."""
    query = select(volumes).where(
        volumes.c.build_id == build_id,
        volumes.c.platform == platform.value,
        volumes.c.state == VolumeState.ACTIVE.value,
    )
    row = (await tx.execute(query)).one_or_none()
    return None if row is None else _volume(row)


async def mark_volume_copied(tx: Transaction, volume_id: str) -> None:
    """Say that a volume has in it what it is to begin with."""
    await tx.execute(update(volumes).where(volumes.c.id == volume_id).values(to_copy=None))


async def untrusted_volumes(tx: Transaction) -> dict[str, list[UntrustedVolume]]:
    """The volumes of all untrusted builds that run, by their region."""
    query = (
        select(volumes.c.id, volumes.c.project_id, volumes.c.region_id, projects.c.keep_bytes)
        .join(projects, projects.c.id == volumes.c.project_id)
        .where(volumes.c.build_id.is_not(None), volumes.c.state == VolumeState.ACTIVE.value)
        .order_by(volumes.c.id)
    )
    found: dict[str, list[UntrustedVolume]] = {}
    for row in await tx.execute(query):
        found.setdefault(row.region_id, []).append(UntrustedVolume(row.id, row.project_id, row.keep_bytes))
    return found


async def give_up_volumes_of_build(tx: Transaction, build_id: str) -> None:
    """Mark what a build has written for deletion."""
    await tx.execute(
        update(volumes)
        .where(volumes.c.build_id == build_id, _may_become(VolumeState.DELETING))
        .values(state=VolumeState.DELETING.value)
    )


async def give_up_volumes(tx: Transaction, project_id: str) -> None:
    """Mark all of a project's volumes for deletion, including those that were to stay for a while."""
    await tx.execute(
        update(volumes)
        .where(volumes.c.project_id == project_id, volumes.c.state != VolumeState.DELETED.value)
        .values(state=VolumeState.DELETING.value, retry_at=None)
    )


async def give_up_volume(tx: Transaction, volume_id: str, delete_at: datetime | None) -> None:
    """Mark a volume for deletion at that time; None for as soon as no machine uses it."""
    await tx.execute(
        update(volumes)
        .where(volumes.c.id == volume_id, _may_become(VolumeState.DELETING))
        .values(state=VolumeState.DELETING.value, retry_at=delete_at)
    )


async def active_volumes(tx: Transaction, project_id: str, *, idle_only: bool = False) -> list[Volume]:
    """The caches of a project; with ``idle_only``, those that no machine uses now."""
    query = select(volumes).where(
        volumes.c.project_id == project_id,
        volumes.c.state == VolumeState.ACTIVE.value,
        volumes.c.build_id.is_(None),
    )
    if idle_only:
        in_use = select(machines.c.volume_id).where(machines.c.volume_id.is_not(None))
        query = query.where(volumes.c.id.not_in(in_use))
    return [_volume(row) for row in await tx.execute(query)]


async def kept_volumes(tx: Transaction, project_id: str, after: datetime) -> list[Volume]:
    """The complete caches of a project that are to be deleted after that time, the newest first."""
    query = select(volumes).where(
        volumes.c.project_id == project_id,
        volumes.c.state == VolumeState.DELETING.value,
        volumes.c.build_id.is_(None),
        volumes.c.failures == 0,
        volumes.c.retry_at > after,
    )
    rows = await tx.execute(query.order_by(volumes.c.created_at.desc(), volumes.c.id.desc()))
    return [_volume(row) for row in rows]


async def take_up_volume(tx: Transaction, volume_id: str) -> None:
    """Make a volume active again that was marked for deletion."""
    await tx.execute(
        update(volumes)
        .where(volumes.c.id == volume_id, _may_become(VolumeState.ACTIVE))
        .values(state=VolumeState.ACTIVE.value, retry_at=None)
    )


async def last_volume(tx: Transaction, project_id: str, platform: Platform) -> Volume | None:
    """The newest cache of a (project, platform), whether its data still exist or not."""
    query = select(volumes).where(
        volumes.c.project_id == project_id, volumes.c.platform == platform.value, volumes.c.build_id.is_(None)
    )
    row = (await tx.execute(query.order_by(volumes.c.created_at.desc(), volumes.c.id.desc()).limit(1))).one_or_none()
    return None if row is None else _volume(row)


async def deletable_volumes(tx: Transaction) -> list[Volume]:
    """Volumes to be deleted that no machine uses."""
    in_use = select(machines.c.volume_id).where(machines.c.volume_id.is_not(None))
    query = select(volumes).where(volumes.c.state == VolumeState.DELETING.value, volumes.c.id.not_in(in_use))
    return [_volume(row) for row in await tx.execute(query)]


async def known_volume_ids(tx: Transaction) -> frozenset[str]:
    """Ids of all volumes that have data or may have."""
    query = select(volumes.c.id).where(volumes.c.state != VolumeState.DELETED.value)
    return frozenset((await tx.execute(query)).scalars())


async def volumes_to_measure(tx: Transaction, *, measured_before: datetime, limit: int) -> list[tuple[str, str]]:
    """Volumes in use, with their regions, whose last measurement is outdated.

    It is if the machine stopped after it, or if the machine runs and it was before ``measured_before``.
    """
    is_stopped = machines.c.state == MachineState.STOPPED.value
    query = (
        select(volumes.c.id, volumes.c.region_id)
        .join(machines, and_(machines.c.project_id == volumes.c.project_id, machines.c.platform == volumes.c.platform))
        .where(volumes.c.build_id.is_(None), machines.c.build_id.is_(None))
        .where(
            volumes.c.state == VolumeState.ACTIVE.value,
            or_(
                and_(is_stopped, or_(volumes.c.measured_at.is_(None), volumes.c.measured_at < machines.c.changed_at)),
                and_(~is_stopped, func.coalesce(volumes.c.measured_at, volumes.c.created_at) < measured_before),
            ),
        )
        .limit(limit)
    )
    return [(row.id, row.region_id) for row in await tx.scan(query)]


async def set_volume_size(tx: Transaction, volume_id: str, size_bytes: int, measured_at: datetime) -> None:
    """Remember a volume's size, and when it was taken."""
    await tx.execute(
        update(volumes).where(volumes.c.id == volume_id).values(size_bytes=size_bytes, measured_at=measured_at)
    )


async def mark_volume_deleted(tx: Transaction, volume_id: str, now: datetime) -> None:
    """The data are gone, and what was known of them."""
    await tx.execute(delete(cache_contents).where(cache_contents.c.volume_id == volume_id))
    await tx.execute(
        update(volumes)
        .where(volumes.c.id == volume_id, _may_become(VolumeState.DELETED))
        .values(state=VolumeState.DELETED.value, deleted_at=now, error=None)
    )


async def mark_all_volumes_deleted(tx: Transaction, now: datetime) -> None:
    """The data of all volumes are gone, and what was known of them."""
    await tx.execute(delete(cache_contents))
    await tx.execute(
        update(volumes)
        .where(volumes.c.state != VolumeState.DELETED.value)
        .values(state=VolumeState.DELETED.value, deleted_at=now, retry_at=None, error=None)
    )


async def note_volume_problem(tx: Transaction, volume_id: str, problem: str) -> None:
    """Remember what went wrong with a volume, for the operator."""
    await tx.execute(update(volumes).where(volumes.c.id == volume_id).values(error=problem))


async def mark_volume_delete_failed(
    tx: Transaction, volume_id: str, *, failures: int, retry_at: datetime, error: str
) -> None:
    """The data are not gone; try again later."""
    await tx.execute(
        update(volumes).where(volumes.c.id == volume_id).values(failures=failures, retry_at=retry_at, error=error)
    )
