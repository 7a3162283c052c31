"""Trust policies: add, list, remove."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stoker.domain.audit import Action, Party
from stoker.domain.errors import FailedPrecondition, InvalidInput, NotFound, ResourceExhausted
from stoker.domain.ids import checked_id
from stoker.domain.trust_policies import TrustPolicy, checked_source, policy_key
from stoker.services.audit_log import record
from stoker.services.lookup import require_project
from stoker.store import trust_policies as policy_store
from stoker.store.locks import Lock

if TYPE_CHECKING:
    from stoker.domain.principals import Principal
    from stoker.domain.trust_policies import Provider
    from stoker.services.core import Core

"""How many a project may have."""


class TrustPolicyService:
    """The use cases around trust policies."""

    def __init__(self, core: Core, providers: tuple[Provider, ...]) -> None:
        self._core = core
        self._providers = {provider.name: provider for provider in providers}

    @property
    def providers(self) -> tuple[Provider, ...]:
        """The providers that a policy can name."""
        return tuple(provider for provider in self._providers.values() if provider.kind is not None)

    async def add(
        self,
        principal: Principal,
        project_id: str,
        provider_name: str,
        owner: str,
        source: str,
        *,
        untrusted: bool = False,
    ) -> TrustPolicy:
        """Let tokens of one source build in a project. One that is there already is returned as it is.

        Raises:
            FailedPrecondition: the source is there already, trusted otherwise.
            InvalidInput: the provider isn't configured, or a name can't be right.
            NotFound: there is no such project, or it isn't the caller's.
            ResourceExhausted: the project has all the policies it may have.
        """
        provider = self._providers.get(provider_name)
        if provider is None or provider.kind is None:
            known = ", ".join(self._providers) or "none"
            raise InvalidInput(f'"{provider_name[:40]}" is not an OIDC provider of this server; it has: {known}')
        owner, source = checked_source(provider.kind, owner, source)
        async with self._core.database.write(durable=True) as tx:
            await tx.lock(Lock.PROJECT, project_id)
            project = await require_project(tx, principal, project_id)
            policy = TrustPolicy(
                id=self._core.new_id(),
                project_id=project.id,
                provider=provider.name,
                kind=provider.kind,
                issuer=provider.issuer_of(owner),
                owner=owner,
                source=source,
                created_at=self._core.now(),
                untrusted=untrusted,
            )
            present = await policy_store.list_policies(tx, project.id)
            same = next((other for other in present if policy_key(other) == policy_key(policy)), None)
            if same is not None and same.untrusted is not untrusted:
                word = "untrusted" if same.untrusted else "trusted"
                raise FailedPrecondition(
                    f"the project has that source as {word}, by the policy {same.id}; remove that first to change it"
                )
            if same is not None:
                return same
            most = self._core.limits.projects.max_trust_policies
            if len(present) >= most:
                raise ResourceExhausted(f"the project has {most} trust policies, which is the most; remove some first")
            await policy_store.add_policy(tx, policy)
            target, detail = _party(policy), f"in project {project.name}{', untrusted' if untrusted else ''}"
            await record(self._core, tx, principal, Action.POLICY_ADD, target, project.organization_id, detail)
        return policy

    async def list(self, principal: Principal, project_id: str) -> list[TrustPolicy]:
        """A project's policies, the oldest first.

        Raises:
            NotFound: there is no such project, or it isn't the caller's.
        """
        async with self._core.database.read() as tx:
            project = await require_project(tx, principal, project_id)
            return await policy_store.list_policies(tx, project.id)

    async def remove(self, principal: Principal, project_id: str, policy_id: str) -> None:
        """Remove a policy. From now on the tokens that it let in are refused; their builds that run go on.

        Raises:
            NotFound: there is no such project or policy, or it isn't the caller's.
        """
        async with self._core.database.write(durable=True) as tx:
            await tx.lock(Lock.PROJECT, project_id)
            project = await require_project(tx, principal, project_id)
            wanted = checked_id(policy_id, "trust_policy_id")
            present = await policy_store.list_policies(tx, project.id)
            policy = next((one for one in present if one.id == wanted), None)
            if policy is None or not await policy_store.remove_policy(tx, project.id, wanted):
                raise NotFound(
                    f"trust policy {policy_id} was not found in project {project.id}; list its policies to see what is"
                )
            target, detail = _party(policy), f"in project {project.name}"
            await record(self._core, tx, principal, Action.POLICY_REMOVE, target, project.organization_id, detail)


def _party(policy: TrustPolicy) -> Party:
    return Party("trust policy", policy.id, f"{policy.provider} {policy.owner}/{policy.source}")
