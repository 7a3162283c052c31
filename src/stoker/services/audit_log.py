"""Writes events of the audit log, in the transaction of the change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stoker.domain.audit import Action, AuditEvent, Party, bounded_text
from stoker.domain.principals import CredentialKind
from stoker.services.origin import current_origin
from stoker.store import audit as audit_store
from stoker.store import people as person_store
from stoker.store import tokens as token_store

if TYPE_CHECKING:
    from stoker.domain.builds import Build
    from stoker.domain.people import Person
    from stoker.domain.principals import Principal
    from stoker.domain.projects import Organization, Project
    from stoker.services.core import Core
    from stoker.store.database import Transaction


async def record(
    core: Core,
    tx: Transaction,
    who: Principal | Party,
    action: Action,
    target: Party,
    organization_id: str | None,
    detail: str = "",
) -> None:
    """Add an event of an organization, or with None of the server. Neither names nor ``detail`` may hold a secret."""
    origin = current_origin()
    actor = who if isinstance(who, Party) else await actor_of(tx, who)
    event = AuditEvent(
        id=core.new_id(),
        organization_id=organization_id,
        occurred_at=core.now(),
        actor=actor,
        action=action,
        target=Party(target.kind, target.id, bounded_text(target.name)),
        detail=bounded_text(detail),
        address=origin.address,
        request_id=origin.request_id,
    )
    await audit_store.add_event(tx, event)


async def record_for_person(
    core: Core, tx: Transaction, who: Party, action: Action, target: Party, person: Person, detail: str = ""
) -> None:
    """Add an event to each organization that a person is in, as it concerns all of them; else to the server."""
    memberships = await person_store.memberships_of(tx, person.id)
    for organization_id in [one.organization_id for one in memberships] or [None]:
        await record(core, tx, who, action, target, organization_id, detail)


def person_party(person: Person) -> Party:
    """A person, by their address."""
    return Party("person", person.id, person.email)


def project_party(project: Project) -> Party:
    """A project, by its name."""
    return Party("project", project.id, project.name)


def organization_party(organization: Organization) -> Party:
    """An organization, by its name."""
    return Party("organization", organization.id, organization.name)


def build_party(build: Build) -> Party:
    """A build, by its title."""
    return Party("build", build.id, build.title)


async def actor_of(tx: Transaction, principal: Principal) -> Party:
    """A caller, by the name that their credential has now."""
    if principal.kind is CredentialKind.USER:
        person = await person_store.find_person(tx, principal.person_id or "")
        return Party("person", principal.person_id or "", "" if person is None else person.email)
    if principal.kind is CredentialKind.OIDC:
        # Where several projects trust the caller, the policy may be of another project than the one that is meant.
        return Party("OIDC token", principal.credential_id if principal.project_id else "", principal.source)
    token = await token_store.find_token_by_id(tx, principal.credential_id)
    return Party(f"{principal.kind} token", principal.credential_id, "" if token is None else token.description)
