"""Volumes of untrusted builds. Each is a snapshot of the project's cache and is deleted when its build ends."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from stoker.domain.volumes import Volume, VolumeState
from stoker.runtimes.errors import SnapshotsUnsupported, VolumeDeleteFailed, VolumeFailed
from stoker.runtimes.volumes import Snapshots
from stoker.services.build_completion import warn_builds_of_machine
from stoker.services.moved_caches import delete_at, kept_cache_here
from stoker.store import builds as build_store
from stoker.store import volumes as volume_store

if TYPE_CHECKING:
    from stoker.domain.machines import Machine
    from stoker.domain.projects import Project
    from stoker.runtimes.sites import Sites
    from stoker.runtimes.volumes import Volumes
    from stoker.services.core import Core
    from stoker.store.database import Transaction

_log = logging.getLogger(__name__)


async def has_outlived_its_build(tx: Transaction, machine: Machine) -> bool:
    """Whether a machine is for one build that has ended. It must not start, because nothing would stop it."""
    if machine.build_id is None:
        return False
    build = await build_store.find_build(tx, machine.build_id)
    return build is None or build.status.finished


async def volume_of(core: Core, sites: Sites, tx: Transaction, project: Project, machine: Machine) -> Volume:
    """The volume for a machine's next start: the project's, or a new one for the machine of an untrusted build.

    The row of a new volume is stored before its data exists. So no data is found whose owner isn't known.
    """
    kept = await volume_store.active_volume(tx, project.id, machine.platform)
    if kept is not None and not sites.is_one_site(kept.region_id, project.region_id):
        await volume_store.give_up_volume(tx, kept.id, delete_at(core))
        kept = None
    if kept is None:
        kept = await kept_cache_here(core, tx, project, machine.platform, sites.is_one_site)
        if kept is not None:
            await volume_store.take_up_volume(tx, kept.id)
    if machine.build_id is None:
        found, to_copy = kept, None
    else:
        found = await volume_store.active_volume_of_build(tx, machine.build_id, machine.platform)
        if found is not None and not sites.is_one_site(found.region_id, project.region_id):
            await volume_store.give_up_volume(tx, found.id, None)
            found = None
        to_copy = None if kept is None else kept.id
    if found is not None:
        return found
    last = await volume_store.last_volume(tx, project.id, machine.platform) if kept is None else None
    volume = Volume(
        id=core.new_id(),
        project_id=project.id,
        platform=machine.platform,
        region_id=project.region_id,
        state=VolumeState.ACTIVE,
        failures=0,
        retry_at=None,
        build_id=machine.build_id,
        to_copy=to_copy,
    )
    await volume_store.add_volume(tx, volume, core.now())
    if last is not None and not sites.is_one_site(last.region_id, project.region_id):
        await _note_move(core, tx, machine, volume, last.region_id)
    return volume


async def _note_move(core: Core, tx: Transaction, machine: Machine, volume: Volume, before: str) -> None:
    """Let the records of a new volume and of the builds that begin with it say why it is empty."""
    note = f"the project was moved from {before} to {volume.region_id}, where its cache began empty"
    _log.info("volume %s of project %s: %s", volume.id, volume.project_id, note)
    await volume_store.note_volume_problem(tx, volume.id, note)
    await warn_builds_of_machine(tx, machine.id, note)


async def fill_volume(core: Core, sites: Sites, machine: Machine) -> None:
    """Copy the project's cache into the new volume of an untrusted build's machine, before its first start.

    If the copy fails, the build continues with an empty volume. The log and the volume's record say why.

    Raises:
        VolumeDeleteFailed: the rest of an earlier, interrupted copy can't be removed.
    """
    if machine.build_id is None:
        return
    async with core.database.read() as tx:
        volume = await volume_store.active_volume_of_build(tx, machine.build_id, machine.platform)
    if volume is None or volume.to_copy is None:
        return
    # A controller that died may have left a copy, and nothing says whether it is whole.
    volumes = sites.volumes_of(machine.region_id)
    await volumes.delete(volume.id)
    problem = await _copy(volumes, volume.to_copy, volume.id)
    async with core.database.write() as tx:
        await volume_store.mark_volume_copied(tx, volume.id)
        if problem is not None:
            await volume_store.note_volume_problem(tx, volume.id, problem)


async def _copy(volumes: Volumes, source_id: str, volume_id: str) -> str | None:
    """Take the snapshot. Returns what went wrong, in words."""
    try:
        if not isinstance(volumes, Snapshots):
            raise SnapshotsUnsupported("volumes can't be copied here")
        await volumes.snapshot(source_id, volume_id)
    except VolumeDeleteFailed:
        raise
    except VolumeFailed as error:
        problem = f"an untrusted build has an empty cache in place of a copy of volume {source_id}: {error}"
        level = logging.INFO if isinstance(error, SnapshotsUnsupported) else logging.WARNING
        _log.log(level, "volume %s: %s", volume_id, problem)
        await volumes.delete(volume_id)
        return problem
    _log.info("volume %s is a copy of volume %s, for an untrusted build", volume_id, source_id)
    return None
