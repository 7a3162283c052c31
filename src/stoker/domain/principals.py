"""The caller, after its credential was verified."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from stoker.domain.errors import PermissionDenied

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stoker.domain.build_origins import BuildOrigin
    from stoker.domain.people import Role


class CredentialKind(StrEnum):
    """The kind of a caller's credential."""

    ORGANIZATION = "organization"
    PROJECT = "project"
    BUILD = "build"
    USER = "user"
    OIDC = "OIDC"


@dataclass(frozen=True, slots=True)
class Principal:
    """A verified caller. ``project_id`` and ``build_id`` narrow what it may see; None means all of the outer one.

    A person (USER) may belong to several organizations, with a role in each; ``needed_role`` is what the method that is
    being called asks for. An OIDC caller may see its ``trusting_projects`` and nothing else; only when there is just
    one does it have an organization and a ``project_id``. ``untrusted`` says that all it builds is; an OIDC
    caller may be so in some projects (``untrusted_projects``), as the owners of each decide for it alone. ``source`` is
    what the trust policy of an OIDC caller names, for people to read; ``origin`` is what the claims of its token say of
    the builds that it creates.
    """

    kind: CredentialKind
    credential_id: str
    organization_ids: tuple[str, ...]
    project_id: str | None = None
    build_id: str | None = None
    trusting_projects: frozenset[str] = frozenset()
    person_id: str | None = None
    roles: Mapping[str, Role] = field(default_factory=dict[str, "Role"])
    needed_role: Role | None = None
    untrusted: bool = False
    untrusted_projects: frozenset[str] = frozenset()
    source: str = ""
    origin: BuildOrigin | None = None

    @property
    def organization_id(self) -> str:
        """The organization of a call that names none; empty if there is none."""
        return self.organization_ids[0] if self.organization_ids else ""

    def is_untrusted_in(self, project_id: str) -> bool:
        """Whether this caller's builds in a project are untrusted."""
        return self.untrusted or project_id in self.untrusted_projects

    def may_see_project(self, organization_id: str, project_id: str) -> bool:
        """Whether the caller may see a project."""
        if self.kind is CredentialKind.OIDC:
            return project_id in self.trusting_projects
        return organization_id in self.organization_ids and self.project_id in (None, project_id)

    def may_see_build(self, organization_id: str, project_id: str, build_id: str, *, is_untrusted: bool) -> bool:
        """Whether the caller may see a build. An untrusted caller never sees a trusted build."""
        if self.is_untrusted_in(project_id) and not is_untrusted:
            return False
        return self.may_see_project(organization_id, project_id) and self.build_id in (None, build_id)

    def require_role(self, organization_id: str) -> None:
        """Check a person's role in an organization that they may see. Other callers pass.

        Raises:
            PermissionDenied: the role doesn't allow it.
        """
        if self.kind is not CredentialKind.USER or self.needed_role is None:
            return
        role = self.roles.get(organization_id)
        if role is None or not role.covers(self.needed_role):
            raise PermissionDenied(
                f"your role in this organization is {role or 'none'}, and this needs {self.needed_role}; ask an owner"
            )
