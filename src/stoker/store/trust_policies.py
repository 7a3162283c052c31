"""Trust policies, found by what they demand of a token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Row, delete, exists, insert, select

from stoker.domain.trust_policies import ProviderKind, TrustPolicy, policy_key
from stoker.store.tables.credentials import trust_policies
from stoker.store.tables.organizations import projects

if TYPE_CHECKING:
    from stoker.store.database import Transaction


@dataclass(frozen=True, slots=True)
class Trusting:
    """A policy, and the organization whose project trusts."""

    policy: TrustPolicy
    organization_id: str


def _policy(row: Row[Any]) -> TrustPolicy:
    return TrustPolicy(
        id=row.id,
        project_id=row.project_id,
        provider=row.provider,
        kind=ProviderKind(row.kind),
        issuer=row.issuer,
        owner=row.owner,
        source=row.source,
        created_at=row.created_at,
        untrusted=row.untrusted,
    )


async def add_policy(tx: Transaction, policy: TrustPolicy) -> None:
    """Store a new policy."""
    await tx.execute(
        insert(trust_policies).values(
            id=policy.id,
            project_id=policy.project_id,
            provider=policy.provider,
            kind=policy.kind.value,
            issuer=policy.issuer,
            owner=policy.owner,
            source=policy.source,
            match_key=policy_key(policy),
            created_at=policy.created_at,
            untrusted=policy.untrusted,
        )
    )


async def list_policies(tx: Transaction, project_id: str) -> list[TrustPolicy]:
    """A project's policies, the oldest first."""
    query = select(trust_policies).where(trust_policies.c.project_id == project_id).order_by(trust_policies.c.id)
    return [_policy(row) for row in await tx.execute(query)]


async def remove_policy(tx: Transaction, project_id: str, policy_id: str) -> bool:
    """Remove a project's policy; False when it has none of that id."""
    done = await tx.execute(
        delete(trust_policies).where(trust_policies.c.project_id == project_id, trust_policies.c.id == policy_id)
    )
    return done.rowcount > 0


async def is_issuer_trusted(tx: Transaction, issuer: str) -> bool:
    """Whether any policy of a project that isn't deleted names this issuer."""
    query = select(
        exists().where(
            trust_policies.c.issuer == issuer,
            trust_policies.c.project_id == projects.c.id,
            projects.c.deleted_at.is_(None),
        )
    )
    return bool((await tx.execute(query)).scalar_one())


async def find_trusting(tx: Transaction, match_key: str) -> list[Trusting]:
    """The policies that demand exactly this, of projects that aren't deleted."""
    query = (
        select(trust_policies, projects.c.organization_id)
        .join(projects, projects.c.id == trust_policies.c.project_id)
        .where(trust_policies.c.match_key == match_key, projects.c.deleted_at.is_(None))
        .order_by(trust_policies.c.id)
    )
    return [Trusting(_policy(row), row.organization_id) for row in await tx.execute(query)]
