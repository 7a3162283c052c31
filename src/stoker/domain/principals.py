"""Who is calling, once a credential was verified."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class CredentialKind(StrEnum):
    """What kind of credential a caller showed."""

    ORGANIZATION = "organization"
    PROJECT = "project"
    BUILD = "build"


@dataclass(frozen=True, slots=True)
class Principal:
    """A verified caller. ``project_id`` and ``build_id`` narrow what it may see; None means all of the outer one."""

    kind: CredentialKind
    credential_id: str
    organization_id: str
    project_id: str | None = None
    build_id: str | None = None

    def may_see_project(self, organization_id: str, project_id: str) -> bool:
        """Whether a project is within this caller's reach."""
        return self.organization_id == organization_id and self.project_id in (None, project_id)

    def may_see_build(self, organization_id: str, project_id: str, build_id: str) -> bool:
        """Whether a build is within this caller's reach."""
        return self.may_see_project(organization_id, project_id) and self.build_id in (None, build_id)
