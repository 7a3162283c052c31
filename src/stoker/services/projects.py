"""Projects: create, read, change, delete, and reset their cache."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from stoker.domain.audit import Action, described_change
from stoker.domain.cache_policy import (
    GIGABYTE,
    CachePolicy,
    CachePolicyChange,
    checked_cache_policy,
    default_cache_policy,
)
from stoker.domain.errors import ResourceExhausted
from stoker.domain.hardware import DEFAULT_HARDWARE, Hardware
from stoker.domain.ids import checked_id
from stoker.domain.machines import Desired
from stoker.domain.projects import Organization, Project, ProjectChange, checked_name, checked_region
from stoker.services.audit_log import project_party, record
from stoker.services.build_completion import fail_builds_of_project, wake_ended
from stoker.services.lookup import require_organization, require_project, require_seen_project
from stoker.services.moved_caches import follow_move, move_of
from stoker.services.wakeups import FLEET, builds_topic
from stoker.store import machines as machine_store
from stoker.store import organizations as organization_store
from stoker.store import projects as project_store
from stoker.store import volumes as volume_store
from stoker.store.locks import Lock
from stoker.store.recent import Recent

if TYPE_CHECKING:
    from stoker.domain.principals import Principal
    from stoker.services.core import Core
    from stoker.services.moved_caches import Move, SameSite
    from stoker.store.database import Transaction


@dataclass(frozen=True, slots=True)
class NewProject:
    """A request for a project; None means the default."""

    name: str
    region_id: str
    organization_id: str | None = None
    hardware: Hardware | None = None
    cache_policy: CachePolicyChange | None = None


@dataclass(frozen=True, slots=True)
class UpdatedProject:
    """A project after a change. ``move`` says what its move to another site means for its cache, if it moved to one."""

    project: Project
    move: Move | None = None


class ProjectService:
    """Use cases of projects.

    Args:
        core: what every service needs.
        is_one_site: whether a project that moves from one region to another keeps its cache.
    """

    def __init__(self, core: Core, is_one_site: SameSite) -> None:
        self._core = core
        self._is_one_site = is_one_site
        self._recent = Recent(core.database, project_store.find_project)

    @property
    def regions(self) -> tuple[str, ...]:
        """The regions that a project can be in."""
        return self._core.limits.regions

    @property
    def default_policy(self) -> CachePolicy:
        """The cache policy of projects that name none."""
        return default_cache_policy(self._core.limits.projects.max_keep_bytes)

    async def create(self, principal: Principal, wanted: NewProject) -> Project:
        """Create a project in the caller's organization.

        Raises:
            InvalidInput: a value is out of bounds.
            NotFound: the organization that is named isn't the caller's.
            ResourceExhausted: the organization has all the projects it may have.
        """
        limits = self._core.limits.projects
        name = checked_name(wanted.name, "name")
        region_id = checked_region(wanted.region_id, self._core.limits.regions)
        wanted_policy = (wanted.cache_policy or CachePolicyChange()).applied_to(self.default_policy)
        cache_policy = checked_cache_policy(wanted_policy, limits.min_keep_bytes, limits.max_keep_bytes)
        async with self._core.database.write(durable=True) as tx:
            organization = await require_organization(tx, principal, wanted.organization_id or "")
            await tx.lock(Lock.ORGANIZATION, organization.id)
            project = Project(
                id=self._core.new_id(),
                organization_id=organization.id,
                name=name,
                region_id=region_id,
                hardware=wanted.hardware or DEFAULT_HARDWARE,
                cache_policy=cache_policy,
                created_at=self._core.now(),
            )
            if await project_store.count_projects(tx, project.organization_id) >= limits.max_projects:
                raise ResourceExhausted(
                    f"the organization has {limits.max_projects} projects, which is the most; delete some first"
                )
            await self._require_room(tx, project, before=0)
            await project_store.add_project(tx, project)
            await record(
                self._core, tx, principal, Action.PROJECT_CREATE, project_party(project), project.organization_id
            )
        self._core.wakeups.wake(builds_topic(project.organization_id))
        return project

    async def list(self, principal: Principal, region_id: str | None = None) -> list[Project]:
        """The projects that the caller may see, oldest first; with ``region_id``, those of that region.

        Raises:
            InvalidInput: the server has no such region, and no project is in it.
        """
        async with self._core.database.read() as tx:
            found = await project_store.list_projects(tx, principal.organization_ids, only=principal.project_id)
        if not region_id:
            return found
        # A region that is no longer among the settings may still have projects.
        if all(project.region_id != region_id for project in found):
            checked_region(region_id, self._core.limits.regions)
        return [project for project in found if project.region_id == region_id]

    async def organizations(self, principal: Principal) -> list[Organization]:
        """The caller's organizations, oldest first."""
        async with self._core.database.read() as tx:
            return await organization_store.find_organizations(tx, principal.organization_ids)

    async def get(self, principal: Principal, project_id: str) -> Project:
        """One project.

        Raises:
            NotFound: there is none, or it isn't the caller's.
        """
        found = await self._recent.get(checked_id(project_id, "project_id"))
        return require_seen_project(principal, project_id, found)

    async def update(self, principal: Principal, project_id: str, change: ProjectChange) -> UpdatedProject:
        """Change a project; what is None stays.

        Hardware and cache policy count from a machine's next start; one that no build holds is stopped for that now,
        the others when their last build lets go. The same holds for a move to a region at another site.

        Raises:
            InvalidInput: a value is out of bounds.
            NotFound: there is none, or it isn't the caller's.
        """
        name = None if change.name is None else checked_name(change.name, "name")
        regions = self._core.limits.regions
        region_id = None if change.region_id is None else checked_region(change.region_id, regions)
        async with self._core.database.write(durable=True) as tx:
            await tx.lock(Lock.PROJECT, project_id)
            project = await require_project(tx, principal, project_id)
            changed = replace(
                project,
                name=name or project.name,
                region_id=region_id or project.region_id,
                hardware=change.hardware or project.hardware,
                cache_policy=self._changed_policy(project.cache_policy, change.cache_policy),
            )
            if changed.cache_policy.keep_bytes > project.cache_policy.keep_bytes:
                await tx.lock(Lock.ORGANIZATION, project.organization_id)
                await self._require_room(tx, changed, before=project.cache_policy.keep_bytes)
            await project_store.save_project(tx, changed)
            moves = not self._is_one_site(project.region_id, changed.region_id)
            if moves or (changed.hardware, changed.cache_policy) != (project.hardware, project.cache_policy):
                await machine_store.mark_machines_outdated(tx, project.id)
            move = await self._move(tx, changed) if moves else None
            if change_made := described_change(project, changed):
                target = project_party(changed)
                await record(
                    self._core, tx, principal, Action.PROJECT_UPDATE, target, project.organization_id, change_made
                )
        self._core.wakeups.wake(FLEET, builds_topic(project.organization_id))
        return UpdatedProject(changed, move)

    async def delete(self, principal: Principal, project_id: str) -> None:
        """Delete a project: fail its running builds, stop its machines, destroy its volumes.

        Raises:
            NotFound: there is none, or it isn't the caller's.
        """
        async with self._core.database.write(durable=True) as tx:
            await tx.lock(Lock.PROJECT, project_id)
            project = await require_project(tx, principal, project_id)
            ended = await self._give_up_cache(tx, project, "the project was deleted")
            await project_store.mark_project_deleted(tx, project.id, self._core.now())
            await record(
                self._core, tx, principal, Action.PROJECT_DELETE, project_party(project), project.organization_id
            )
        wake_ended(self._core, ended)
        self._core.wakeups.wake(builds_topic(project.organization_id))

    async def reset(self, principal: Principal, project_id: str) -> Project:
        """Destroy a project's cache. Builds that run fail; the next one starts with an empty cache.

        Raises:
            NotFound: there is none, or it isn't the caller's.
        """
        async with self._core.database.write(durable=True) as tx:
            await tx.lock(Lock.PROJECT, project_id)
            project = await require_project(tx, principal, project_id)
            ended = await self._give_up_cache(tx, project, "the project's cache was reset")
            await record(
                self._core, tx, principal, Action.PROJECT_RESET_CACHE, project_party(project), project.organization_id
            )
        wake_ended(self._core, ended)
        return project

    async def _move(self, tx: Transaction, project: Project) -> Move:
        """Let a project's machines start at another site from now on. Returns what that means for its cache."""
        await machine_store.move_stopped_machines(tx, project.id, project.region_id)
        await follow_move(self._core, tx, project, self._is_one_site)
        return await move_of(self._core, tx, project, self._is_one_site)

    def _changed_policy(self, policy: CachePolicy, change: CachePolicyChange | None) -> CachePolicy:
        """A policy with a change. What it keeps stays as it is when the highest value has become smaller since."""
        if change is None:
            return policy
        limits = self._core.limits.projects
        most = max(limits.max_keep_bytes, policy.keep_bytes) if change.keep_bytes is None else limits.max_keep_bytes
        return checked_cache_policy(change.applied_to(policy), limits.min_keep_bytes, most)

    async def _require_room(self, tx: Transaction, project: Project, before: int) -> None:
        """Pass when the organization's caches may keep what a project is to keep instead of ``before``."""
        most = self._core.limits.projects.max_organization_keep_bytes
        together = await project_store.sum_keep_bytes(tx, project.organization_id) - before
        if together + project.cache_policy.keep_bytes > most:
            raise ResourceExhausted(
                f"the cache policies of the organization's other projects keep {together / GIGABYTE:g} GB of the "
                f"{most / GIGABYTE:g} GB that it may have; give this project a smaller keep_bytes, or others first"
            )

    async def _give_up_cache(self, tx: Transaction, project: Project, reason: str) -> list[str]:
        ended = await fail_builds_of_project(self._core, tx, project.id, reason)
        for machine in await machine_store.machines_of(tx, project.id):
            await machine_store.set_desired(tx, machine.id, Desired.STOPPED)
        await volume_store.give_up_volumes(tx, project.id)
        return ended
