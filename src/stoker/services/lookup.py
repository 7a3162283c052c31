"""Finds what a caller names, if the caller may see it.

Things that don't exist and things of others get the same answer, so that an id reveals nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NewType

from stoker.domain.builds import Build
from stoker.domain.errors import NotFound
from stoker.domain.ids import checked_id
from stoker.store import builds as build_store
from stoker.store import organizations as organization_store
from stoker.store import projects as project_store

if TYPE_CHECKING:
    from stoker.domain.principals import Principal
    from stoker.domain.projects import Organization, Project
    from stoker.store.database import Transaction

ReadableBuild = NewType("ReadableBuild", Build)
"""A build whose record the reader may see: within the reader's reach, or shared. Only an access check makes one."""

MemberBuild = NewType("MemberBuild", ReadableBuild)
"""A build within the caller's reach, by membership or by a token. Only a check of the principal makes one."""


async def require_project(tx: Transaction, principal: Principal, project_id: str) -> Project:
    """The project of that id.

    Raises:
        InvalidInput: it isn't an id.
        NotFound: there is none, or it isn't the caller's.
        PermissionDenied: the caller sees it, and their role in its organization is too small.
    """
    found = await project_store.find_project(tx, checked_id(project_id, "project_id"))
    return require_seen_project(principal, project_id, found)


def require_seen_project(principal: Principal, project_id: str, project: Project | None) -> Project:
    """What was found under an id, when the caller may see it.

    Raises:
        NotFound: nothing was found, or it isn't the caller's.
        PermissionDenied: the caller sees it, and their role in its organization is too small.
    """
    if project is None or not principal.may_see_project(project.organization_id, project.id):
        raise NotFound(f"project {project_id} was not found in your organization; list projects to see what is there")
    principal.require_role(project.organization_id)
    return project


async def require_build(tx: Transaction, principal: Principal, build_id: str) -> MemberBuild:
    """The build of that id.

    Raises:
        InvalidInput: it isn't an id.
        NotFound: there is none, or it isn't the caller's.
        PermissionDenied: the caller sees it, and their role in its organization is too small.
    """
    build = await build_store.find_build(tx, checked_id(build_id, "build_id"))
    if build is None or not principal.may_see_build(
        build.organization_id, build.project_id, build.id, is_untrusted=build.untrusted
    ):
        raise NotFound(f"build {build_id} was not found; create a build first, and use the token that came with it")
    principal.require_role(build.organization_id)
    return MemberBuild(ReadableBuild(build))


async def require_organization(tx: Transaction, principal: Principal, organization_id: str) -> Organization:
    """The organization of that id; with an empty one, the one that the caller means where they name none.

    Raises:
        InvalidInput: it isn't an id.
        NotFound: there is none, or it isn't the caller's.
        PermissionDenied: the caller's role in it is too small.
    """
    wanted = checked_id(organization_id, "organization_id") if organization_id else principal.organization_id
    found = None
    if wanted in principal.organization_ids:
        found = await organization_store.find_organization(tx, wanted)
    if found is None:
        raise NotFound(f"organization {wanted or '(none)'} was not found among yours; list organizations to see them")
    principal.require_role(found.id)
    return found
