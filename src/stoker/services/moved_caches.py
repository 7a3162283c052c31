"""What becomes of a project's caches when it moves to a region at another site.

They stay where they are for a while, since a move may be a mistake: a project that moves back has them again. Then
they are deleted.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from stoker.store import volumes as volume_store

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from typing import TypeAlias

    from stoker.domain.platforms import Platform
    from stoker.domain.projects import Project
    from stoker.domain.volumes import Volume
    from stoker.services.core import Core
    from stoker.store.database import Transaction

    SameSite: TypeAlias = Callable[[str, str], bool]
    """Whether two regions are at one site: `stoker.runtimes.sites.Sites.is_one_site`."""


@dataclass(frozen=True, slots=True)
class Move:
    """What a move to another site meant for a project's cache. The note is for whoever made it, in ASCII."""

    has_cache: bool
    note: str


# Whoever deletes volumes may have read before we write.
_MARGIN = timedelta(minutes=1)


async def follow_move(core: Core, tx: Transaction, project: Project, is_one_site: SameSite) -> None:
    """Mark a project's idle caches at other sites for deletion, and reuse those that it had at its own site before."""
    for volume in await volume_store.active_volumes(tx, project.id, idle_only=True):
        if not is_one_site(volume.region_id, project.region_id):
            await volume_store.give_up_volume(tx, volume.id, delete_at(core))
    platforms = {volume.platform for volume in await volume_store.active_volumes(tx, project.id)}
    for volume in await _kept_caches_here(core, tx, project, is_one_site):
        if volume.platform not in platforms:
            platforms.add(volume.platform)
            await volume_store.take_up_volume(tx, volume.id)


async def _kept_caches_here(core: Core, tx: Transaction, project: Project, is_one_site: SameSite) -> list[Volume]:
    """The caches that a project had at its site before and that aren't deleted yet, the newest first."""
    kept = await volume_store.kept_volumes(tx, project.id, core.now() + _MARGIN)
    return [volume for volume in kept if is_one_site(volume.region_id, project.region_id)]


async def kept_cache_here(
    core: Core, tx: Transaction, project: Project, platform: Platform, is_one_site: SameSite
) -> Volume | None:
    """The newest such cache for a platform."""
    kept = await _kept_caches_here(core, tx, project, is_one_site)
    return next((volume for volume in kept if volume.platform is platform), None)


def delete_at(core: Core) -> datetime:
    """When to delete a cache that is given up now because its project was moved."""
    return core.now() + core.limits.projects.moved_cache_lifetime


async def move_of(core: Core, tx: Transaction, project: Project, is_one_site: SameSite) -> Move:
    """What a move to another site means for a project's cache, once what it had elsewhere is given up."""
    # A machine may still run there, or be about to stop.
    active = await volume_store.active_volumes(tx, project.id)
    there = [volume for volume in active if is_one_site(volume.region_id, project.region_id)]
    if there or await _kept_caches_here(core, tx, project, is_one_site):
        return Move(has_cache=True, note="the project has the cache again that it had in this region before")
    hours = f"{core.limits.projects.moved_cache_hours:g}"
    note = f"the next build starts with an empty cache in the new region; the old cache is deleted in {hours} hours"
    return Move(has_cache=False, note=note)
