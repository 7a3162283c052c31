"""`stoker organizations`: the owners of projects and tokens."""

from __future__ import annotations

import click

from stoker._gen.depot.core.v1.organization_connect import OrganizationServiceClient
from stoker._gen.depot.core.v1.organization_pb import ListOrganizationsRequest
from stoker._gen.stoker.v1 import organizations_pb as pb
from stoker._gen.stoker.v1.organizations_connect import OrganizationServiceClient as OwnOrganizationServiceClient
from stoker.cli.output import print_made, print_table, shown_time
from stoker.cli.remote import Remote, remote_command
from stoker.cli.terminal import tell


@click.group("organizations")
def command() -> None:
    """Organizations, which own projects and tokens."""


@command.command("list")
@remote_command
def list_organizations(remote: Remote) -> None:
    """List your organizations."""
    answer = remote.call(OrganizationServiceClient, lambda all_: all_.list_organizations(ListOrganizationsRequest()))
    remote.finish_json(answer)
    rows = [(one.org_id, one.name, shown_time(one.created_at)) for one in answer.organizations]
    print_table(("ID", "NAME", "CREATED (UTC)"), rows, empty="you are in no organization; ask an owner to invite you")


@command.command("create")
@click.argument("name")
@remote_command
def create_organization(remote: Remote, name: str) -> None:
    """Create an organization that you own, and print its id. For operators of the server."""
    request = pb.CreateOrganizationRequest(name=name)
    answer = remote.call(OwnOrganizationServiceClient, lambda own: own.create_organization(request))
    one = remote.part(answer, answer.organization)
    print_made(f"created the organization {one.name}:", one.organization_id)


@command.command("rename")
@click.argument("organization")
@click.argument("name")
@remote_command
def rename_organization(remote: Remote, organization: str, name: str) -> None:
    """Rename an organization. ORGANIZATION is its name or id."""
    organization = remote.organization_id(organization)
    request = pb.RenameOrganizationRequest(organization_id=organization, name=name)
    answer = remote.call(OwnOrganizationServiceClient, lambda own: own.rename_organization(request))
    remote.finish_json(answer)
    tell(f"{organization} is called {name} now")
