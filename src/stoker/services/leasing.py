"""Give a build a lease on its machine: what has to happen together in one transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stoker.domain.leases import Lease
from stoker.domain.machines import Desired, Machine, MachineState
from stoker.services.tracing import build_cause, machine_cause
from stoker.services.wakeups import builds_topics
from stoker.store import builds as build_store
from stoker.store import leases as lease_store
from stoker.store import machines as machine_store
from stoker.store import projects as project_store
from stoker.store.locks import Lock

if TYPE_CHECKING:
    from stoker.domain.builds import Build
    from stoker.domain.platforms import Platform
    from stoker.services.core import Core
    from stoker.store.database import Transaction


async def add_lease(core: Core, tx: Transaction, build: Build, platform: Platform) -> Lease:
    """Give a build a lease on its machine for a platform, which is to run from now on."""
    await tx.lock(Lock.PROJECT, build.project_id)
    now = core.now()
    machine = await _machine(core, tx, build, platform)
    lease = Lease(
        id=core.new_id(),
        build_id=build.id,
        project_id=build.project_id,
        platform=platform,
        machine_id=machine.id,
        created_at=now,
        expires_at=now + core.limits.builds.lease_lifetime,
        ended_at=None,
        end_reason=None,
    )
    await lease_store.add_lease(tx, lease)
    core.tracer.pass_cause(build_cause(build.id), machine_cause(machine.id))
    if machine.prewarmed_until is not None:
        await machine_store.end_prewarming(tx, machine.id)
    if machine.idle_since is not None:
        await machine_store.set_idle_since(tx, machine.id, None)
    if machine.desired is not Desired.RUNNING:
        await machine_store.set_desired(tx, machine.id, Desired.RUNNING)
    if build.started_at is None:
        await build_store.mark_build_started(tx, build.id, now)
    tx.after_commit(lambda: core.wakeups.wake(*builds_topics(build.organization_id, build.project_id)))
    return lease


async def _machine(core: Core, tx: Transaction, build: Build, platform: Platform) -> Machine:
    if build.untrusted:
        machine = await machine_store.machine_of_build(tx, build.id, platform)
    else:
        machine = await machine_store.machine_of(tx, build.project_id, platform)
    if machine is not None:
        if machine.keeps_crashing and machine.error:
            await build_store.hint_builds(tx, [build.id], machine.error)
        elif machine.state is MachineState.STOPPED:
            await machine_store.reset_failures(tx, machine.id)
        return machine
    machine = Machine(
        id=core.new_id(),
        organization_id=build.organization_id,
        project_id=build.project_id,
        platform=platform,
        region_id=await project_store.region_of(tx, build.project_id),
        desired=Desired.RUNNING,
        state=MachineState.STOPPED,
        run=0,
        volume_id=None,
        placement=None,
        error=None,
        failures=0,
        retry_at=None,
        idle_since=None,
        build_id=build.id if build.untrusted else None,
    )
    await machine_store.add_machine(tx, machine, core.now())
    return machine
