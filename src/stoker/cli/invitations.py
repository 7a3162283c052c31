"""`stoker invitations`: open invitations."""

from __future__ import annotations

import click

from stoker._gen.stoker.v1 import organizations_pb as pb
from stoker._gen.stoker.v1.organizations_connect import OrganizationServiceClient
from stoker.cli.confirmation import confirm, yes_flag
from stoker.cli.output import print_table, shown_time
from stoker.cli.remote import Remote, remote_command
from stoker.cli.terminal import tell


@click.group("invitations")
def command() -> None:
    """Open invitations to an organization.

    `stoker members invite` creates them.
    """


@command.command("list")
@remote_command
def list_invitations(remote: Remote) -> None:
    """List the open invitations, without their links."""
    answer = remote.call(OrganizationServiceClient, lambda own: own.list_invitations(pb.ListInvitationsRequest()))
    remote.finish_json(answer)
    rows = [
        (one.invitation_id, one.email, one.role.name.lower(), shown_time(one.created_at), shown_time(one.expires_at))
        for one in answer.invitations
    ]
    titles = ("ID", "EMAIL", "ROLE", "CREATED (UTC)", "EXPIRES (UTC)")
    print_table(titles, rows, empty="there are no open invitations")


@command.command("revoke")
@click.argument("invitation")
@yes_flag
@remote_command
def revoke_invitation(remote: Remote, invitation: str, yes: bool) -> None:  # noqa: FBT001
    """Revoke an invitation, so that its link no longer works. INVITATION is its id."""
    confirm(f"Revoke the invitation {invitation}", yes=yes)
    request = pb.RevokeInvitationRequest(invitation_id=invitation)
    answer = remote.call(OrganizationServiceClient, lambda own: own.revoke_invitation(request))
    remote.finish_json(answer)
    tell(f"the invitation {invitation} is revoked")
