"""Find what a caller names, if it is within its reach.

What isn't there and what is somebody else's get the same answer, so that knowing an id tells nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stoker.domain.errors import NotFound
from stoker.domain.ids import checked_id
from stoker.store import builds as build_store
from stoker.store import projects as project_store

if TYPE_CHECKING:
    from stoker.domain.builds import Build
    from stoker.domain.principals import Principal
    from stoker.domain.projects import Project
    from stoker.store.database import Transaction


async def require_project(tx: Transaction, principal: Principal, project_id: str) -> Project:
    """The project of that id.

    Raises:
        InvalidInput: it isn't an id.
        NotFound: there is none, or it isn't the caller's.
    """
    project = await project_store.find_project(tx, checked_id(project_id, "project_id"))
    if project is None or not principal.may_see_project(project.organization_id, project.id):
        raise NotFound(f"project {project_id} was not found in your organization; list projects to see what is there")
    return project


async def require_build(tx: Transaction, principal: Principal, build_id: str) -> Build:
    """The build of that id.

    Raises:
        InvalidInput: it isn't an id.
        NotFound: there is none, or it isn't the caller's.
    """
    build = await build_store.find_build(tx, checked_id(build_id, "build_id"))
    if build is None or not principal.may_see_build(build.organization_id, build.project_id, build.id):
        raise NotFound(f"build {build_id} was not found; create a build first, and use the token that came with it")
    return build
