"""The trust-policy methods of `depot.core.v1.ProjectService`.

On the wire there are three providers. Every other one of the settings is written as ``github``, with the provider's
name and a colon in front of the owner: ``gitlab:group/subgroup``. No owner's name has a colon, so it can't be mistaken.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protobuf import Oneof

from stoker._gen.depot.core.v1 import project_pb as pb
from stoker.domain.errors import InvalidInput
from stoker.domain.trust_policies import ProviderKind, TrustPolicy
from stoker.rpc.caller import caller

if TYPE_CHECKING:
    from stoker.services.trust_policies import TrustPolicyService

_SEPARATOR = ":"


async def add(policies: TrustPolicyService, request: pb.AddTrustPolicyRequest) -> pb.AddTrustPolicyResponse:
    """Add the policy that a request names."""
    provider, owner, source = _decode(request)
    policy = await policies.add(caller(), request.project_id, provider, owner, source)
    return pb.AddTrustPolicyResponse(trust_policy=_encode(policy))


async def list_all(policies: TrustPolicyService, request: pb.ListTrustPoliciesRequest) -> pb.ListTrustPoliciesResponse:
    """List a project's policies."""
    listed = await policies.list(caller(), request.project_id)
    return pb.ListTrustPoliciesResponse(trust_policies=[_encode(policy) for policy in listed])


async def remove(policies: TrustPolicyService, request: pb.RemoveTrustPolicyRequest) -> pb.RemoveTrustPolicyResponse:
    """Remove a policy."""
    await policies.remove(caller(), request.project_id, request.trust_policy_id)
    return pb.RemoveTrustPolicyResponse()


def _decode(request: pb.AddTrustPolicyRequest) -> tuple[str, str, str]:
    """The provider, owner and source that a request names."""
    match request.provider:
        case Oneof(field="github", value=pb.TrustPolicy.GitHub() as github):
            name, separator, owner = github.repository_owner.rpartition(_SEPARATOR)
            return (name if separator else ProviderKind.GITHUB.value), owner, github.repository
        case Oneof(field="buildkite", value=pb.TrustPolicy.Buildkite() as buildkite):
            return ProviderKind.BUILDKITE.value, buildkite.organization_slug, buildkite.pipeline_slug
        case Oneof(field="circleci", value=pb.TrustPolicy.CircleCI() as circleci):
            return ProviderKind.CIRCLECI.value, circleci.organization_uuid, circleci.project_uuid
        case _:
            raise InvalidInput("provider is not given; say github, buildkite or circleci")


def _encode(policy: TrustPolicy) -> pb.TrustPolicy:
    """A policy as it goes over the wire."""
    if policy.provider == ProviderKind.BUILDKITE:
        buildkite = pb.TrustPolicy.Buildkite(organization_slug=policy.owner, pipeline_slug=policy.source)
        return pb.TrustPolicy(trust_policy_id=policy.id, provider=Oneof(field="buildkite", value=buildkite))
    if policy.provider == ProviderKind.CIRCLECI:
        circleci = pb.TrustPolicy.CircleCI(organization_uuid=policy.owner, project_uuid=policy.source)
        return pb.TrustPolicy(trust_policy_id=policy.id, provider=Oneof(field="circleci", value=circleci))
    prefix = "" if policy.provider == ProviderKind.GITHUB else policy.provider + _SEPARATOR
    github = pb.TrustPolicy.GitHub(repository_owner=prefix + policy.owner, repository=policy.source)
    return pb.TrustPolicy(trust_policy_id=policy.id, provider=Oneof(field="github", value=github))
