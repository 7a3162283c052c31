"""Who is calling, once a credential was verified."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class CredentialKind(StrEnum):
    """What kind of credential a caller showed."""

    ORGANIZATION = "organization"
    PROJECT = "project"
    BUILD = "build"
    OIDC = "OIDC"


@dataclass(frozen=True, slots=True)
class Principal:
    """A verified caller. ``project_id`` and ``build_id`` narrow what it may see; None means all of the outer one.

    An OIDC caller may see its ``trusting_projects`` and nothing else. Only when there is just one does it have an
    ``organization_id`` and a ``project_id``; otherwise the one is empty and the other None.
    """

    kind: CredentialKind
    credential_id: str
    organization_id: str
    project_id: str | None = None
    build_id: str | None = None
    trusting_projects: frozenset[str] = frozenset()

    def may_see_project(self, organization_id: str, project_id: str) -> bool:
        """Whether a project is within this caller's reach."""
        if self.kind is CredentialKind.OIDC:
            return project_id in self.trusting_projects
        return self.organization_id == organization_id and self.project_id in (None, project_id)

    def may_see_build(self, organization_id: str, project_id: str, build_id: str) -> bool:
        """Whether a build is within this caller's reach."""
        return self.may_see_project(organization_id, project_id) and self.build_id in (None, build_id)
