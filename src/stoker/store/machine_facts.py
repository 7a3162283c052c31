"""What people want to know of machines and volumes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, func, select

from stoker.domain.machines import MachineFacts, MachineState
from stoker.domain.platforms import Platform
from stoker.domain.volumes import VolumeState
from stoker.store.tables import leases, machines, volumes

if TYPE_CHECKING:
    from sqlalchemy import Row

    from stoker.store.database import Transaction


async def facts_of_machines(tx: Transaction, organization_id: str, project_id: str | None) -> list[MachineFacts]:
    """The machines of an organization, or of one of its projects; those of untrusted builds only while they run."""
    chosen = machines.c.organization_id == organization_id
    if project_id is not None:
        chosen = and_(chosen, machines.c.project_id == project_id)
    builds = (
        select(leases.c.machine_id, func.count().label("builds"))
        .where(leases.c.ended_at.is_(None))
        .group_by(leases.c.machine_id)
        .subquery()
    )
    volume = and_(
        volumes.c.project_id == machines.c.project_id,
        volumes.c.platform == machines.c.platform,
        volumes.c.state == VolumeState.ACTIVE.value,
        func.coalesce(volumes.c.build_id, "") == func.coalesce(machines.c.build_id, ""),
    )
    query = (
        select(machines, builds.c.builds, volumes.c.size_bytes, volumes.c.error.label("volume_error"))
        .outerjoin(builds, builds.c.machine_id == machines.c.id)
        .outerjoin(volumes, volume)
        .where(
            chosen,
            machines.c.build_id.is_(None) | (machines.c.state != MachineState.STOPPED.value),
        )
        .order_by(machines.c.project_id, machines.c.platform, machines.c.id)
    )
    return [_facts(row) for row in await tx.scan(query)]


def _facts(row: Row[Any]) -> MachineFacts:
    placement: dict[str, Any] = {} if row.placement is None else json.loads(row.placement)
    return MachineFacts(
        id=row.id,
        project_id=row.project_id,
        platform=Platform(row.platform),
        state=MachineState(row.state),
        changed_at=row.changed_at,
        builds=row.builds or 0,
        cpus=placement.get("cpus"),
        memory_bytes=placement.get("memory_bytes"),
        crashes=row.crashes,
        retry_at=row.retry_at,
        problem=row.error,
        build_id=row.build_id,
        volume_bytes=row.size_bytes,
        volume_problem=row.volume_error,
    )
