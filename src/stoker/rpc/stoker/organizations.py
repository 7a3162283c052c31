"""`stoker.v1.AccountService` and `stoker.v1.OrganizationService`: what stoker has beyond Depot's Build API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protobuf.wkt import Timestamp

from stoker._gen.stoker.v1 import organizations_pb as pb
from stoker._gen.stoker.v1.organizations_connect import AccountService, OrganizationService
from stoker.domain.errors import InvalidInput
from stoker.domain.people import Role
from stoker.rpc.caller import caller
from stoker.rpc.encoding import encode_moment

if TYPE_CHECKING:
    from typing import Any

    from connectrpc.request import RequestContext

    from stoker.domain.people import Invitation, Person
    from stoker.domain.projects import Organization
    from stoker.services.logins import LoginService
    from stoker.services.organizations import OrganizationService as Organizations
    from stoker.services.tokens import TokenService
    from stoker.store.tokens import StoredToken

_ROLES = {pb.Role.VIEWER: Role.VIEWER, pb.Role.MEMBER: Role.MEMBER, pb.Role.OWNER: Role.OWNER}
_ROLES_ON_WIRE = {role: wire for wire, role in _ROLES.items()}


class AccountHandlers(AccountService):
    """The person who calls."""

    def __init__(self, organizations: Organizations, logins: LoginService) -> None:
        self._organizations = organizations
        self._logins = logins

    async def get_account(
        self, request: pb.GetAccountRequest, ctx: RequestContext[Any, Any], /
    ) -> pb.GetAccountResponse:
        """Who they are, and where they belong."""
        account = await self._organizations.account(caller())
        memberships = [
            pb.GetAccountResponse.Membership(organization=_organization(one), role=_ROLES_ON_WIRE[role])
            for one, role in account.organizations
        ]
        return pb.GetAccountResponse(person=_person(account.person), memberships=memberships)

    async def log_out(self, request: pb.LogOutRequest, ctx: RequestContext[Any, Any], /) -> pb.LogOutResponse:
        """Revoke the caller's own token."""
        await self._logins.log_out_caller(caller())
        return pb.LogOutResponse()


class OwnOrganizationHandlers(OrganizationService):
    """Organizations, members, invitations, and tokens of organizations."""

    def __init__(self, organizations: Organizations, tokens: TokenService) -> None:
        self._organizations = organizations
        self._tokens = tokens

    async def create_organization(
        self, request: pb.CreateOrganizationRequest, ctx: RequestContext[Any, Any], /
    ) -> pb.CreateOrganizationResponse:
        """Create an organization."""
        created = await self._organizations.create(caller(), request.name)
        return pb.CreateOrganizationResponse(organization=_organization(created))

    async def rename_organization(
        self, request: pb.RenameOrganizationRequest, ctx: RequestContext[Any, Any], /
    ) -> pb.RenameOrganizationResponse:
        """Rename an organization."""
        renamed = await self._organizations.rename(caller(), request.organization_id, request.name)
        return pb.RenameOrganizationResponse(organization=_organization(renamed))

    async def list_members(
        self, request: pb.ListMembersRequest, ctx: RequestContext[Any, Any], /
    ) -> pb.ListMembersResponse:
        """List an organization's members."""
        members = await self._organizations.members(caller(), request.organization_id)
        return pb.ListMembersResponse(
            members=[
                pb.Member(
                    person=_person(member.person),
                    role=_ROLES_ON_WIRE[member.role],
                    joined_at=Timestamp.from_datetime(member.joined_at),
                )
                for member in members
            ]
        )

    async def change_member_role(
        self, request: pb.ChangeMemberRoleRequest, ctx: RequestContext[Any, Any], /
    ) -> pb.ChangeMemberRoleResponse:
        """Change a member's role."""
        role = _decode_role(request.role)
        await self._organizations.change_role(caller(), request.organization_id, request.person_id, role)
        return pb.ChangeMemberRoleResponse()

    async def remove_member(
        self, request: pb.RemoveMemberRequest, ctx: RequestContext[Any, Any], /
    ) -> pb.RemoveMemberResponse:
        """Let somebody be no member any more."""
        await self._organizations.remove_member(caller(), request.organization_id, request.person_id)
        return pb.RemoveMemberResponse()

    async def create_invitation(
        self, request: pb.CreateInvitationRequest, ctx: RequestContext[Any, Any], /
    ) -> pb.CreateInvitationResponse:
        """Invite somebody; the link is in this answer alone."""
        role = _decode_role(request.role)
        created = await self._organizations.invite(caller(), request.organization_id, request.email, role)
        return pb.CreateInvitationResponse(invitation=_invitation(created.invitation), url=created.url)

    async def list_invitations(
        self, request: pb.ListInvitationsRequest, ctx: RequestContext[Any, Any], /
    ) -> pb.ListInvitationsResponse:
        """List an organization's open invitations."""
        invitations = await self._organizations.invitations(caller(), request.organization_id)
        return pb.ListInvitationsResponse(invitations=[_invitation(invitation) for invitation in invitations])

    async def revoke_invitation(
        self, request: pb.RevokeInvitationRequest, ctx: RequestContext[Any, Any], /
    ) -> pb.RevokeInvitationResponse:
        """Take an invitation back."""
        await self._organizations.revoke_invitation(caller(), request.organization_id, request.invitation_id)
        return pb.RevokeInvitationResponse()

    async def create_token(
        self, request: pb.CreateTokenRequest, ctx: RequestContext[Any, Any], /
    ) -> pb.CreateTokenResponse:
        """Create a token of an organization; its secret is in this answer alone."""
        expires_at = request.expires_at.to_datetime() if request.expires_at else None
        created = await self._tokens.create_for_organization(
            caller(), request.organization_id, request.description, expires_at
        )
        return pb.CreateTokenResponse(token_id=created.id, secret=created.secret)

    async def list_tokens(
        self, request: pb.ListTokensRequest, ctx: RequestContext[Any, Any], /
    ) -> pb.ListTokensResponse:
        """List an organization's own tokens, without their secrets."""
        tokens = await self._tokens.list_of_organization(caller(), request.organization_id)
        return pb.ListTokensResponse(tokens=[_token(token) for token in tokens])

    async def revoke_token(
        self, request: pb.RevokeTokenRequest, ctx: RequestContext[Any, Any], /
    ) -> pb.RevokeTokenResponse:
        """Revoke a token."""
        await self._tokens.revoke_of_organization(caller(), request.organization_id, request.token_id)
        return pb.RevokeTokenResponse()


def _decode_role(role: pb.Role) -> Role:
    known = _ROLES.get(role)
    if known is None:
        raise InvalidInput("role is not given or not known; use ROLE_VIEWER, ROLE_MEMBER or ROLE_OWNER")
    return known


def _person(person: Person) -> pb.Person:
    return pb.Person(person_id=person.id, email=person.email, name=person.name, is_operator=person.is_operator)


def _organization(organization: Organization) -> pb.Organization:
    return pb.Organization(
        organization_id=organization.id,
        name=organization.name,
        created_at=Timestamp.from_datetime(organization.created_at),
    )


def _invitation(invitation: Invitation) -> pb.Invitation:
    return pb.Invitation(
        invitation_id=invitation.id,
        email=invitation.email,
        role=_ROLES_ON_WIRE[invitation.role],
        created_at=Timestamp.from_datetime(invitation.created_at),
        expires_at=Timestamp.from_datetime(invitation.expires_at),
    )


def _token(token: StoredToken) -> pb.Token:
    return pb.Token(
        token_id=token.id,
        description=token.description,
        created_at=Timestamp.from_datetime(token.created_at),
        expires_at=encode_moment(token.expires_at),
        last_used_at=encode_moment(token.last_used_at),
    )
