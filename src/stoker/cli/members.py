"""`stoker members`: who is in an organization, and with which role."""

from __future__ import annotations

import click

from stoker._gen.stoker.v1 import organizations_pb as pb
from stoker._gen.stoker.v1.organizations_connect import OrganizationServiceClient
from stoker.cli.confirmation import confirm, yes_flag
from stoker.cli.output import print_made, print_table, shown_time
from stoker.cli.remote import Remote, remote_command
from stoker.cli.terminal import Problem, tell

_ROLES = {"viewer": pb.Role.VIEWER, "member": pb.Role.MEMBER, "owner": pb.Role.OWNER}


@click.group("members")
def command() -> None:
    """Members of an organization, and their roles.

    A viewer reads, a member builds as well, an owner manages the organization.
    """


@command.command("list")
@remote_command
def list_members(remote: Remote) -> None:
    """List the members."""
    answer = _members(remote)
    remote.finish_json(answer)
    rows = [
        (one.person.person_id, one.person.name, one.person.email, one.role.name.lower(), shown_time(one.joined_at))
        for one in answer.members
        if one.person is not None
    ]
    print_table(("ID", "NAME", "EMAIL", "ROLE", "JOINED (UTC)"), rows, empty="this organization has no members")


@command.command("invite")
@click.argument("email")
@click.option("--role", type=click.Choice(list(_ROLES)), default="member", show_default=True)
@remote_command
def invite(remote: Remote, email: str, role: str) -> None:
    """Invite EMAIL, and print the link to join. It works once; send it to that person only."""
    request = pb.CreateInvitationRequest(email=email, role=_ROLES[role])
    answer = remote.call(OrganizationServiceClient, lambda own: own.create_invitation(request))
    one = remote.part(answer, answer.invitation)
    until = shown_time(one.expires_at)
    print_made(f"{one.email} can join as {role} until {until} UTC, with this link:", answer.url)


@command.command("role")
@click.argument("person")
@click.argument("role", type=click.Choice(list(_ROLES)))
@remote_command
def change_role(remote: Remote, person: str, role: str) -> None:
    """Change a member's role, from their next call on. PERSON is an id or an email address."""
    found = _find(remote, person)
    request = pb.ChangeMemberRoleRequest(person_id=found.person_id, role=_ROLES[role])
    answer = remote.call(OrganizationServiceClient, lambda own: own.change_member_role(request))
    remote.finish_json(answer)
    tell(f"{found.name} ({found.email}) is {role} now")


@command.command("remove")
@click.argument("person")
@yes_flag
@remote_command
def remove_member(remote: Remote, person: str, yes: bool) -> None:  # noqa: FBT001
    """Remove a member. PERSON is an id or an email address."""
    found = _find(remote, person)
    confirm(f"Remove {found.name} ({found.email})", yes=yes)
    request = pb.RemoveMemberRequest(person_id=found.person_id)
    answer = remote.call(OrganizationServiceClient, lambda own: own.remove_member(request))
    remote.finish_json(answer)
    tell(f"{found.name} ({found.email}) is no longer a member")


def _members(remote: Remote) -> pb.ListMembersResponse:
    return remote.call(OrganizationServiceClient, lambda own: own.list_members(pb.ListMembersRequest()))


def _find(remote: Remote, wanted: str) -> pb.Person:
    for member in _members(remote).members:
        if member.person is not None and wanted.casefold() in {member.person.person_id, member.person.email.casefold()}:
            return member.person
    raise Problem(
        f"no member of this organization has the id or address {wanted}", "`stoker members list` lists the members"
    )
