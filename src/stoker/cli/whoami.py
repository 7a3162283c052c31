"""`stoker whoami`: the server, the person or token, and the roles."""

from __future__ import annotations

import click

from stoker._gen.depot.core.v1.organization_connect import OrganizationServiceClient
from stoker._gen.depot.core.v1.organization_pb import ListOrganizationsRequest
from stoker._gen.depot.core.v1.project_connect import ProjectServiceClient
from stoker._gen.depot.core.v1.project_pb import ListProjectsRequest
from stoker._gen.stoker.v1.organizations_connect import AccountServiceClient
from stoker._gen.stoker.v1.organizations_pb import GetAccountRequest
from stoker.cli.connecting import credentials_file, token_source
from stoker.cli.output import print_facts
from stoker.cli.remote import Remote, remote_command

_ORGANIZATIONS_TOKEN = "stoker_org_"  # noqa: S105
_PROJECTS_TOKEN = "stoker_prj_"  # noqa: S105


@click.command("whoami")
@remote_command
def command(remote: Remote) -> None:
    """Show the server, who you are there, and your roles.

    For a token of an organization or a project, show which one it is for.
    """
    if remote.caller.token.startswith(_ORGANIZATIONS_TOKEN):
        _organization(remote)
    elif remote.caller.token.startswith(_PROJECTS_TOKEN):
        _project(remote)
    else:
        _person(remote)


def _person(remote: Remote) -> None:
    answer = remote.call(AccountServiceClient, lambda accounts: accounts.get_account(GetAccountRequest()))
    person = remote.part(answer, answer.person)
    rank = ", operator of this server" if person.is_operator else ""
    roles = [
        ("organization", f"{one.organization.organization_id}  {one.organization.name} ({one.role.name.lower()})")
        for one in answer.memberships
        if one.organization is not None
    ]
    print_facts([*_where(remote), ("person", f"{person.name} ({person.email}){rank}"), *roles])


def _organization(remote: Remote) -> None:
    answer = remote.call(OrganizationServiceClient, lambda all_: all_.list_organizations(ListOrganizationsRequest()))
    remote.finish_json(answer)
    print_facts([*_where(remote), *(("organization", f"{one.org_id}  {one.name}") for one in answer.organizations)])


def _project(remote: Remote) -> None:
    answer = remote.call(ProjectServiceClient, lambda projects: projects.list_projects(ListProjectsRequest()))
    remote.finish_json(answer)
    print_facts([*_where(remote), *(("project", f"{one.project_id}  {one.name}") for one in answer.projects)])


def _where(remote: Remote) -> list[tuple[str, str]]:
    return [("API", remote.caller.url), ("token from", token_source() or str(credentials_file()))]
