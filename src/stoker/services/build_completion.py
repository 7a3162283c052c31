"""End builds and leases: what has to happen together in one transaction."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING

from stoker.domain.builds import BuildResult, BuildStatus, bounded_error, explained_error
from stoker.domain.failure_hints import is_lost_connection, refused_address_hint
from stoker.domain.machines import Isolation
from stoker.domain.masking import mask_secrets
from stoker.domain.steps import BuildWarning
from stoker.domain.user_namespace_errors import user_namespace_hint
from stoker.services.wakeups import FLEET, QUEUE, build_topic, builds_topics
from stoker.services.webhooks import enqueue_build_finished
from stoker.store import build_notes as note_store
from stoker.store import builds as build_store
from stoker.store import leases as lease_store
from stoker.store import machines as machine_store
from stoker.store import tokens as token_store
from stoker.store import volumes as volume_store
from stoker.store import waiting as waiting_store
from stoker.store.locks import Lock

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stoker.domain.builds import Build
    from stoker.domain.leases import Lease
    from stoker.domain.machines import Machine
    from stoker.services.core import Core
    from stoker.store.database import Transaction

_log = logging.getLogger(__name__)
# Clients see that a connection broke before it is known here that a machine ended, and some tell so at once.
_TOLD_BEFORE = timedelta(seconds=10)


async def end_lease(core: Core, tx: Transaction, lease: Lease, reason: str) -> None:
    """End a lease; when it was its machine's last, the machine is idle from now on."""
    # So that of two that end at once, the second sees that it is the last.
    await tx.lock(Lock.PROJECT, lease.project_id)
    # Not before its beginning, if the clock was set back a moment ago.
    await lease_store.end_lease(tx, lease.id, max(core.now(), lease.created_at), reason)
    if await lease_store.count_live_leases(tx, lease.machine_id) == 0:
        await machine_store.set_idle_since(tx, lease.machine_id, core.now())


async def end_build(core: Core, tx: Transaction, build_id: str, result: BuildResult) -> bool:
    """End a build with all its leases, and its token soon after; False when it had ended before.

    What it has to itself, as untrusted builds do, is given up in the same transaction. Builds of several projects are
    ended under the lock of the queue.
    """
    build = await build_store.find_any_build(tx, build_id)
    if build is None:
        return False
    await tx.lock(Lock.PROJECT, build.project_id)
    # Likewise not before its beginning.
    now = max(core.now(), build.started_at or build.created_at)
    said = None if result.error is None else mask_secrets(result.error)
    error = None if said is None else bounded_error(said)
    if result.status is BuildStatus.FAILED:
        hint = (
            await build_store.hint_of(tx, build_id)
            or refused_address_hint(said)
            or _gateway_hint(core, build, said)
            or await _user_namespace_hint(tx, build_id, said)
        )
        if hint is not None:
            error = explained_error(error, hint)
    if not await build_store.end_build(tx, build_id, BuildResult(result.status, error), now):
        return False
    if result.status is BuildStatus.SUCCEEDED:
        await machine_store.reset_crashes_of_build(tx, build_id)
    tx.after_commit(lambda: core.meter.build_ended(result.status))
    await enqueue_build_finished(core, tx, build_id, build.project_id)
    about = {"build_id": build_id, "project_id": build.project_id}
    words = ("build %s of project %s ended: %s", build_id, build.project_id, result.status.value)
    tx.after_commit(lambda: _log.info(*words, extra=about))
    topics = builds_topics(build.organization_id, build.project_id)
    tx.after_commit(lambda: core.wakeups.wake(*topics))
    for lease in await lease_store.live_leases_of_build(tx, build_id):
        await end_lease(core, tx, lease, f"build {result.status}")
    await waiting_store.leave_queue(tx, build_id)
    await machine_store.retire_machines_of_build(tx, build_id)
    await volume_store.give_up_volumes_of_build(tx, build_id)
    await token_store.expire_build_tokens(tx, build_id, core.now() + core.limits.builds.token_grace)
    return True


def _gateway_hint(core: Core, build: Build, error: str | None) -> str | None:
    """Why a build's connections broke, if the gateway ended in the middle of it."""
    if is_lost_connection(error) and build.started_at is not None and core.gateway_ended_since(build.started_at):
        return "the server's gateway ended while the build ran, and was started again; build again, the cache is kept"
    return None


async def _user_namespace_hint(tx: Transaction, build_id: str, error: str | None) -> str | None:
    """What a user namespace had to do with a failure, if the build had a machine in one."""
    hint = user_namespace_hint(error)
    if hint is None:
        return None
    for lease in await lease_store.live_leases_of_build(tx, build_id):
        machine = await machine_store.find_machine(tx, lease.machine_id)
        placement = None if machine is None else machine.placement
        if placement is not None and placement.isolation == Isolation.USER_NAMESPACE:
            return hint
    return None


async def fail_builds(core: Core, tx: Transaction, build_ids: Iterable[str], reason: str) -> list[str]:
    """Fail builds; the ids of those that had not ended before."""
    result = BuildResult(BuildStatus.FAILED, reason)
    return [build_id for build_id in build_ids if await end_build(core, tx, build_id, result)]


async def fail_builds_of_project(core: Core, tx: Transaction, project_id: str, reason: str) -> list[str]:
    """Fail all running builds of a project; their ids."""
    running = await build_store.running_builds_of(tx, project_id)
    return await fail_builds(core, tx, [build.id for build in running], reason)


async def fail_builds_of_machine(core: Core, tx: Transaction, machine_id: str, reason: str) -> list[str]:
    """Fail all builds that hold a machine; their ids."""
    leases = await lease_store.live_leases_of_machine(tx, machine_id)
    return await fail_builds(core, tx, [lease.build_id for lease in leases], reason)


async def explain_failures_of_machine(core: Core, tx: Transaction, machine: Machine, reason: str) -> list[str]:
    """Say why the connections of builds broke whose clients told their failure first; their ids."""
    failures = await build_store.unexplained_failures(tx, machine, core.now() - _TOLD_BEFORE)
    lost = {build_id: error for build_id, error in failures.items() if is_lost_connection(error)}
    for build_id, error in lost.items():
        await build_store.explain_failure(tx, build_id, explained_error(error, reason), reason)
    return list(lost)


async def unhint_builds_of_machine(tx: Transaction, machine_id: str, hint: str) -> None:
    """Remove hints that begin with ``hint`` from all builds that hold a machine, because they no longer apply."""
    leases = await lease_store.live_leases_of_machine(tx, machine_id)
    await build_store.unhint_builds(tx, [lease.build_id for lease in leases], hint)


async def hint_builds_of_machine(tx: Transaction, machine_id: str, hint: str) -> None:
    """Remember, for all builds that hold a machine, what may explain their failure."""
    leases = await lease_store.live_leases_of_machine(tx, machine_id)
    await build_store.hint_builds(tx, [lease.build_id for lease in leases], hint)


async def warn_builds_of_machine(tx: Transaction, machine_id: str, warning: str) -> None:
    """Add a warning to the records of all builds that hold a machine."""
    leases = await lease_store.live_leases_of_machine(tx, machine_id)
    await note_store.add_warnings(
        tx, [BuildWarning(lease.build_id, "", "", 1, warning, (), "", "", ()) for lease in leases]
    )


def wake_ended(core: Core, build_ids: list[str]) -> None:
    """After the commit: tell those who wait for these builds, or in the queue, and the fleet."""
    core.wakeups.wake(FLEET, QUEUE, *(build_topic(build_id) for build_id in build_ids))
