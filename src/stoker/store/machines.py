"""Machines, and the claims under which the fleet controller works on them.

A claim is a token in the row with an end. Every change that a controller makes names its token, so that one that lost
its claim (it was stopped for long, say) changes nothing any more. No lock is held while it works.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Row, bindparam, case, func, insert, or_, select, update

from stoker.domain.machines import Desired, Machine, MachineState
from stoker.domain.platforms import Platform
from stoker.domain.volumes import VolumeState
from stoker.store.placements import read_placement, write_placement
from stoker.store.tables.builds import leases
from stoker.store.tables.machines import machines, volumes
from stoker.store.tables.records import solves

if TYPE_CHECKING:
    from datetime import datetime

    from stoker.store.database import Transaction


class ClaimLost(Exception):
    """Another controller has taken the machine over."""


def _machine(row: Row[Any]) -> Machine:
    return Machine(
        id=row.id,
        organization_id=row.organization_id,
        project_id=row.project_id,
        platform=Platform(row.platform),
        region_id=row.region_id,
        desired=Desired(row.desired),
        state=MachineState(row.state),
        run=row.run,
        volume_id=row.volume_id,
        placement=read_placement(row.placement),
        error=row.error,
        failures=row.failures,
        retry_at=row.retry_at,
        idle_since=row.idle_since,
        outdated=row.outdated,
        crashes=row.crashes,
        build_id=row.build_id,
        waits_for=row.waits_for,
        waits_since=row.waits_since,
        prewarmed_until=row.prewarmed_until,
        volume_given_up=row.volume_state is not None and row.volume_state != VolumeState.ACTIVE.value,
    )


_MACHINES = select(machines, volumes.c.state.label("volume_state")).outerjoin(
    volumes, volumes.c.id == machines.c.volume_id
)

_LEASED = (
    _MACHINES.add_columns(solves.c.build_id.label("solve_build_id"))
    .join(leases, leases.c.machine_id == machines.c.id)
    .outerjoin(solves, solves.c.ref == bindparam("ref"))
    .where(
        leases.c.build_id == bindparam("build_id"),
        leases.c.platform == bindparam("platform"),
        leases.c.ended_at.is_(None),
    )
)


# Put together once: it runs for every build that is created.
_USED_LAST = _MACHINES.where(
    machines.c.id
    == select(leases.c.machine_id)
    .where(leases.c.project_id == bindparam("project_id"), leases.c.ended_at.is_not(None))
    .order_by(leases.c.ended_at.desc())
    .limit(1)
    .scalar_subquery(),
    machines.c.build_id.is_(None),
    ~select(leases.c.id).where(leases.c.machine_id == machines.c.id, leases.c.ended_at.is_(None)).exists(),
)

# The states are listed because an index leads to what is equal, and to nothing by what isn't.
_RUNNING = select(
    func.coalesce(func.sum(case((machines.c.organization_id == bindparam("organization_id"), 1), else_=0)), 0).label(
        "own"
    ),
    func.count().label("all"),
).where(machines.c.state.in_([state.value for state in MachineState if state is not MachineState.STOPPED]))


async def add_machine(tx: Transaction, machine: Machine, now: datetime) -> None:
    """Store a new machine, which doesn't run yet."""
    await tx.execute(
        insert(machines).values(
            id=machine.id,
            organization_id=machine.organization_id,
            project_id=machine.project_id,
            platform=machine.platform.value,
            region_id=machine.region_id,
            desired=machine.desired.value,
            state=machine.state.value,
            run=machine.run,
            failures=machine.failures,
            build_id=machine.build_id,
            created_at=now,
            changed_at=now,
        )
    )


async def find_machine(tx: Transaction, machine_id: str) -> Machine | None:
    """The machine of that id."""
    row = (await tx.execute(_MACHINES.where(machines.c.id == machine_id))).one_or_none()
    return None if row is None else _machine(row)


async def leased_machine(
    tx: Transaction, build_id: str, platform: Platform, ref: str
) -> tuple[Machine, str | None] | None:
    """The machine on which a build has a live lease, and the build that a solve's ref belongs to, if it does yet.

    One statement, put together once: it runs for every call at the gateway.
    """
    values = {"build_id": build_id, "platform": platform.value, "ref": ref}
    row = (await tx.execute(_LEASED, values)).one_or_none()
    return None if row is None else (_machine(row), row.solve_build_id)


async def machine_of(tx: Transaction, project_id: str, platform: Platform) -> Machine | None:
    """A (project, platform)'s machine, which its trusted builds share."""
    query = _MACHINES.where(
        machines.c.project_id == project_id, machines.c.platform == platform.value, machines.c.build_id.is_(None)
    )
    row = (await tx.execute(query)).one_or_none()
    return None if row is None else _machine(row)


async def machine_of_build(tx: Transaction, build_id: str, platform: Platform) -> Machine | None:
    """The machine that an untrusted build has to itself."""
    query = _MACHINES.where(machines.c.build_id == build_id, machines.c.platform == platform.value)
    row = (await tx.execute(query)).one_or_none()
    return None if row is None else _machine(row)


async def retire_machines_of_build(tx: Transaction, build_id: str) -> None:
    """Say that the machines that a build has to itself are to stop."""
    await tx.execute(update(machines).where(machines.c.build_id == build_id).values(desired=Desired.STOPPED.value))


async def machines_of(tx: Transaction, project_id: str) -> list[Machine]:
    """All machines of a project."""
    query = _MACHINES.where(machines.c.project_id == project_id)
    return [_machine(row) for row in await tx.execute(query)]


async def machine_used_last(tx: Transaction, project_id: str) -> Machine | None:
    """The machine that a trusted build of a project released last, if no build holds it now."""
    row = (await tx.execute(_USED_LAST, {"project_id": project_id})).one_or_none()
    return None if row is None else _machine(row)


async def count_running_machines(tx: Transaction, organization_id: str) -> tuple[int, int]:
    """How many machines of an organization aren't stopped, and how many of all."""
    row = (await tx.execute(_RUNNING, {"organization_id": organization_id})).one()
    return int(row.own), row.all


async def prewarm_machine(tx: Transaction, machine_id: str, now: datetime, until: datetime) -> None:
    """Let a machine that no build holds start, or stay, for a build that may ask for it soon."""
    await tx.execute(
        update(machines)
        .where(machines.c.id == machine_id)
        .values(desired=Desired.RUNNING.value, idle_since=now, prewarmed_until=until)
    )


async def end_prewarming(tx: Transaction, machine_id: str) -> None:
    """A build has asked for the machine, or it can't be had now."""
    await tx.execute(update(machines).where(machines.c.id == machine_id).values(prewarmed_until=None))


async def machines_to_look_at(tx: Transaction) -> list[Machine]:
    """All machines that aren't at rest: they run, or should, or are on the way, or wait for room."""
    query = _MACHINES.where(
        or_(
            machines.c.state != MachineState.STOPPED.value,
            machines.c.desired != Desired.STOPPED.value,
            machines.c.waits_for.is_not(None),
        )
    )
    return [_machine(row) for row in await tx.execute(query)]


async def set_desired(tx: Transaction, machine_id: str, desired: Desired) -> None:
    """Say what a machine should be."""
    await tx.execute(update(machines).where(machines.c.id == machine_id).values(desired=desired.value))


async def set_all_desired(tx: Transaction, desired: Desired) -> None:
    """Say what all machines should be."""
    await tx.execute(update(machines).values(desired=desired.value))


async def move_stopped_machines(tx: Transaction, project_id: str, region_id: str) -> None:
    """Say in which region a project's machines start next; one that runs stays where it is until it stops."""
    is_stopped = (machines.c.project_id == project_id) & (machines.c.state == MachineState.STOPPED.value)
    await tx.execute(update(machines).where(is_stopped).values(region_id=region_id, retry_at=None))


async def mark_machines_outdated(tx: Transaction, project_id: str) -> None:
    """Say that a project's machines that run, or start, do so with settings that have changed."""
    await tx.execute(
        update(machines)
        .where(machines.c.project_id == project_id, machines.c.state != MachineState.STOPPED.value)
        .values(outdated=True)
    )


async def mark_machine_current(tx: Transaction, machine_id: str) -> None:
    """Say that a machine is started with its project's settings of now."""
    await tx.execute(update(machines).where(machines.c.id == machine_id).values(outdated=False))


async def reset_failures(tx: Transaction, machine_id: str) -> None:
    """Let a machine start at once, whatever went wrong before."""
    await tx.execute(update(machines).where(machines.c.id == machine_id).values(failures=0, retry_at=None))


async def reset_crashes_of_build(tx: Transaction, build_id: str) -> None:
    """The machines that a build holds have done what they are for, so they don't crash in a row."""
    held = select(leases.c.machine_id).where(leases.c.build_id == build_id, leases.c.ended_at.is_(None))
    await tx.execute(update(machines).where(machines.c.id.in_(held), machines.c.crashes > 0).values(crashes=0))


async def set_idle_since(tx: Transaction, machine_id: str, idle_since: datetime | None) -> None:
    """Remember since when a machine has had no lease; None while it has one."""
    await tx.execute(update(machines).where(machines.c.id == machine_id).values(idle_since=idle_since))


async def restart_idle_times(tx: Transaction, now: datetime) -> None:
    """Let all machines that are idle be so since now, and let none that waits for its next start wait beyond that."""
    await tx.execute(update(machines).where(machines.c.idle_since.is_not(None)).values(idle_since=now))
    await tx.execute(update(machines).where(machines.c.retry_at > now).values(retry_at=now))


async def claim_machine(tx: Transaction, machine_id: str, claim: str, now: datetime, until: datetime) -> Machine | None:
    """Claim a machine until then; None when somebody else has it."""
    done = await tx.execute(
        update(machines)
        .where(
            machines.c.id == machine_id,
            or_(machines.c.claim_token.is_(None), machines.c.claim_token == claim, machines.c.claimed_until < now),
        )
        .values(claim_token=claim, claimed_until=until)
    )
    return await find_machine(tx, machine_id) if done.rowcount == 1 else None


async def renew_claim(tx: Transaction, machine_id: str, claim: str, until: datetime) -> bool:
    """Hold a claim until then; False when it is another's."""
    query = update(machines).where(machines.c.id == machine_id, machines.c.claim_token == claim)
    return (await tx.execute(query.values(claimed_until=until))).rowcount == 1


async def retry_waiting_machines(tx: Transaction, region_id: str) -> None:
    """Let a region's machines that wait for room be tried at once, because there may be room now."""
    waits = (machines.c.region_id == region_id) & machines.c.waits_for.is_not(None)
    await tx.execute(update(machines).where(waits, machines.c.retry_at.is_not(None)).values(retry_at=None))


async def release_claim(tx: Transaction, machine_id: str, claim: str) -> None:
    """Give a claim back, if it is still held."""
    await tx.execute(
        update(machines)
        .where(machines.c.id == machine_id, machines.c.claim_token == claim)
        .values(claim_token=None, claimed_until=None)
    )


async def drop_all_claims(tx: Transaction) -> None:
    """Forget all claims: for the one controller of a data folder, whose predecessor is dead."""
    await tx.execute(update(machines).values(claim_token=None, claimed_until=None))


async def reset_all_machines(tx: Transaction) -> None:
    """Store that no machine runs, waits, or has failed, whatever is known of them."""
    await tx.execute(
        update(machines).values(
            desired=Desired.STOPPED.value,
            state=MachineState.STOPPED.value,
            volume_id=None,
            placement=None,
            error=None,
            failures=0,
            crashes=0,
            retry_at=None,
            idle_since=None,
            prewarmed_until=None,
            outdated=False,
            waits_for=None,
            waits_since=None,
            claim_token=None,
            claimed_until=None,
        )
    )


async def save_claimed(tx: Transaction, machine: Machine, claim: str, now: datetime) -> None:
    """Store what a controller changed in a machine that it has claimed.

    Raises:
        ClaimLost: the claim is another's.
    """
    done = await tx.execute(
        update(machines)
        .where(machines.c.id == machine.id, machines.c.claim_token == claim)
        .values(
            state=machine.state.value,
            run=machine.run,
            volume_id=machine.volume_id,
            placement=write_placement(machine.placement),
            error=machine.error,
            failures=machine.failures,
            crashes=machine.crashes,
            retry_at=machine.retry_at,
            region_id=machine.region_id,
            waits_for=machine.waits_for,
            waits_since=machine.waits_since,
            changed_at=now,
        )
    )
    if done.rowcount != 1:
        raise ClaimLost(machine.id)
