"""`stoker.v1.TrustService`: credentials whose builds may be untrusted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protobuf.wkt import Timestamp

from stoker._gen.stoker.v1 import trust_pb as pb
from stoker._gen.stoker.v1.trust_connect import TrustService
from stoker.rpc.caller import caller

if TYPE_CHECKING:
    from typing import Any

    from connectrpc.request import RequestContext

    from stoker.domain.trust_policies import TrustPolicy
    from stoker.services.tokens import TokenService
    from stoker.services.trust_policies import TrustPolicyService


class TrustHandlers(TrustService):
    """Project tokens and trust policies, with what they are trusted with."""

    def __init__(self, tokens: TokenService, policies: TrustPolicyService) -> None:
        self._tokens = tokens
        self._policies = policies

    async def create_project_token(
        self, request: pb.CreateProjectTokenRequest, ctx: RequestContext[Any, Any], /
    ) -> pb.CreateProjectTokenResponse:
        """Create a token of a project; its secret is in this answer alone."""
        created = await self._tokens.create(
            caller(), request.project_id, request.description, untrusted=request.untrusted
        )
        return pb.CreateProjectTokenResponse(token_id=created.id, secret=created.secret)

    async def list_project_tokens(
        self, request: pb.ListProjectTokensRequest, ctx: RequestContext[Any, Any], /
    ) -> pb.ListProjectTokensResponse:
        """List a project's tokens."""
        tokens = await self._tokens.list(caller(), request.project_id)
        return pb.ListProjectTokensResponse(
            tokens=[
                pb.ProjectToken(
                    token_id=token.id,
                    description=token.description,
                    untrusted=token.untrusted,
                    created_at=Timestamp.from_datetime(token.created_at),
                )
                for token in tokens
            ]
        )

    async def add_policy(self, request: pb.AddPolicyRequest, ctx: RequestContext[Any, Any], /) -> pb.AddPolicyResponse:
        """Add a trust policy."""
        policy = await self._policies.add(
            caller(), request.project_id, request.provider, request.owner, request.source, untrusted=request.untrusted
        )
        return pb.AddPolicyResponse(policy=_policy(policy))

    async def list_policies(
        self, request: pb.ListPoliciesRequest, ctx: RequestContext[Any, Any], /
    ) -> pb.ListPoliciesResponse:
        """List a project's trust policies."""
        policies = await self._policies.list(caller(), request.project_id)
        return pb.ListPoliciesResponse(policies=[_policy(policy) for policy in policies])


def _policy(policy: TrustPolicy) -> pb.Policy:
    return pb.Policy(
        policy_id=policy.id,
        provider=policy.provider,
        owner=policy.owner,
        source=policy.source,
        untrusted=policy.untrusted,
    )
