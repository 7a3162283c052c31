"""What people want to know of machines and volumes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, func, select

from stoker.domain.hardware import Hardware
from stoker.domain.machines import MachineFacts, MachineState
from stoker.domain.platforms import Platform
from stoker.domain.volumes import VolumeState
from stoker.store.placements import read_placement
from stoker.store.tables.builds import leases
from stoker.store.tables.machines import machines, volumes
from stoker.store.tables.organizations import projects

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Row, Select

    from stoker.store.database import Transaction


_RESTS = machines.c.state == MachineState.STOPPED.value


@dataclass(frozen=True, slots=True)
class FoundMachine:
    """A machine with what its project gives it, and when its volume was made."""

    facts: MachineFacts
    project_name: str
    hardware: Hardware
    keep_bytes: int
    volume_since: datetime | None


async def facts_of_machines(tx: Transaction, organization_id: str, project_id: str | None) -> list[MachineFacts]:
    """The machines of an organization, or of one of its projects.

    Those of deleted projects and of untrusted builds are gone once they have stopped.
    """
    query = _query(organization_id).order_by(machines.c.project_id, machines.c.platform, machines.c.id)
    if project_id is not None:
        query = query.where(machines.c.project_id == project_id)
    return [_facts(row) for row in await tx.scan(query)]


async def find_machines(tx: Transaction, organization_id: str, first: int, size: int) -> list[FoundMachine]:
    """Some machines of an organization from the position ``first`` on: running ones first, then by project."""
    query = (
        _query(organization_id)
        .add_columns(
            projects.c.name, projects.c.hardware, projects.c.keep_bytes, volumes.c.created_at.label("volume_since")
        )
        .order_by(_RESTS, projects.c.name, machines.c.project_id, machines.c.platform, machines.c.id)
        .offset(first)
        .limit(size)
    )
    return [
        FoundMachine(_facts(row), row.name, Hardware(row.hardware), row.keep_bytes, row.volume_since)
        for row in await tx.scan(query)
    ]


def _query(organization_id: str) -> Select[*tuple[Any, ...]]:
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
    is_there = machines.c.build_id.is_(None) & projects.c.deleted_at.is_(None)
    return (
        select(machines, builds.c.builds, volumes.c.size_bytes, volumes.c.error.label("volume_error"))
        .outerjoin(builds, builds.c.machine_id == machines.c.id)
        .outerjoin(volumes, volume)
        .join(projects, projects.c.id == machines.c.project_id)
        .where(machines.c.organization_id == organization_id, is_there | ~_RESTS)
    )


def _facts(row: Row[Any]) -> MachineFacts:
    placement = read_placement(row.placement)
    return MachineFacts(
        id=row.id,
        project_id=row.project_id,
        platform=Platform(row.platform),
        state=MachineState(row.state),
        changed_at=row.changed_at,
        builds=row.builds or 0,
        cpus=None if placement is None else placement.cpus,
        memory_bytes=None if placement is None else placement.memory_bytes,
        crashes=row.crashes,
        retry_at=row.retry_at,
        problem=row.error,
        waits_for=row.waits_for,
        build_id=row.build_id,
        volume_bytes=row.size_bytes,
        volume_problem=row.volume_error,
        isolation=None if placement is None else placement.isolation,
    )
