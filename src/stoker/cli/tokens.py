"""`stoker tokens`: tokens of an organization and of its projects."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

import click
from protobuf.wkt import Timestamp

from stoker._gen.depot.core.v1 import project_pb
from stoker._gen.depot.core.v1.project_connect import ProjectServiceClient
from stoker._gen.stoker.v1 import organizations_pb as pb
from stoker._gen.stoker.v1 import trust_pb
from stoker._gen.stoker.v1.organizations_connect import OrganizationServiceClient
from stoker._gen.stoker.v1.trust_connect import TrustServiceClient
from stoker.cli.confirmation import confirm, yes_flag
from stoker.cli.output import print_made, print_table, shown_time
from stoker.cli.remote import Remote, remote_command
from stoker.cli.terminal import Problem, tell
from stoker.system import SystemClock

if TYPE_CHECKING:
    from protobuf import Message

_PROJECT_FLAG = click.option(
    "--project", "project_id", help="Name or id of a project. Default: the organization's own tokens."
)
_HOURS = {"h": 1, "d": 24, "w": 24 * 7}


class _Lifetime(click.ParamType[timedelta]):
    name = "lifetime"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        found = re.fullmatch(r"([1-9]\d{0,5})([hdw])", str(value))
        if found is None:
            self.fail(f"{value} is not a lifetime, such as 12h, 90d or 52w", param, ctx)
        return timedelta(hours=int(found[1]) * _HOURS[found[2]])


@click.group("tokens")
def command() -> None:
    """Tokens of an organization or a project.

    With --project, tokens of that project, which work for it alone.
    """


@command.command("list")
@_PROJECT_FLAG
@remote_command
def list_tokens(remote: Remote, project_id: str | None) -> None:
    """List the tokens, without their secrets."""
    if project_id is None:
        own = _organizations(remote)
        rows = [
            (
                one.token_id,
                one.description,
                shown_time(one.created_at),
                shown_time(one.expires_at, absent="never"),
                shown_time(one.last_used_at, absent="never"),
            )
            for one in own.tokens
        ]
        titles = ("ID", "DESCRIPTION", "CREATED (UTC)", "EXPIRES (UTC)", "LAST USED (UTC)")
        _print(remote, own, titles, rows)
    else:
        answer = _projects(remote, project_id)
        shown = [(one.token_id, one.description, "no" if one.untrusted else "yes") for one in answer.tokens]
        _print(remote, answer, ("ID", "DESCRIPTION", "TRUSTED"), shown)


@command.command("create")
@click.argument("description", default="")
@_PROJECT_FLAG
@click.option("--expires", type=_Lifetime(), help="Lifetime, such as 12h, 90d or 52w. Default: no end.")
@click.option(
    "--untrusted", is_flag=True, help="For code of strangers, such as forks: its builds can't change the cache."
)
@remote_command
def create_token(
    remote: Remote,
    description: str,
    project_id: str | None,
    expires: timedelta | None,
    untrusted: bool,  # noqa: FBT001
) -> None:
    """Create a token, and print its secret, which is shown only once: TOKEN=$(stoker tokens create CI)."""
    if project_id is None and untrusted:
        raise click.UsageError("--untrusted is for a project's tokens; give --project as well")
    if project_id is None:
        request = pb.CreateTokenRequest(description=description)
        if expires is not None:
            request.expires_at = Timestamp.from_datetime(SystemClock().now() + expires)
        answer = remote.call(OrganizationServiceClient, lambda own: own.create_token(request))
    elif expires is not None:
        raise click.UsageError("--expires is for an organization's tokens; a project's work until they are revoked")
    else:
        wanted = trust_pb.CreateProjectTokenRequest(project_id=project_id, description=description, untrusted=untrusted)
        answer = remote.call(TrustServiceClient, lambda trust: trust.create_project_token(wanted))
    remote.finish_json(answer)
    print_made(f"created the token {answer.token_id}; its secret is shown only once:", answer.secret)


@command.command("revoke")
@click.argument("token")
@_PROJECT_FLAG
@yes_flag
@remote_command
def revoke_token(remote: Remote, token: str, project_id: str | None, yes: bool) -> None:  # noqa: FBT001
    """Revoke a token. TOKEN is its id."""
    listed = _organizations(remote) if project_id is None else _projects(remote, project_id)
    description = next((one.description for one in listed.tokens if one.token_id == token), None)
    if description is None:
        raise Problem(
            f"the {'organization' if project_id is None else 'project'} has no token {token}",
            "`stoker tokens list` lists an organization's tokens, and with --project a project's",
        )
    confirm(f"Revoke the token {token} ({description or 'without a description'})", yes=yes)
    if project_id is None:
        request = pb.RevokeTokenRequest(token_id=token)
        answer: Message = remote.call(OrganizationServiceClient, lambda own: own.revoke_token(request))
    else:
        wanted = project_pb.DeleteTokenRequest(token_id=token)
        answer = remote.call(ProjectServiceClient, lambda projects: projects.delete_token(wanted))
    remote.finish_json(answer)
    tell(f"the token {token} is revoked")


def _organizations(remote: Remote) -> pb.ListTokensResponse:
    return remote.call(OrganizationServiceClient, lambda own: own.list_tokens(pb.ListTokensRequest()))


def _projects(remote: Remote, project_id: str) -> trust_pb.ListProjectTokensResponse:
    request = trust_pb.ListProjectTokensRequest(project_id=project_id)
    return remote.call(TrustServiceClient, lambda trust: trust.list_project_tokens(request))


def _print(remote: Remote, answer: Message, titles: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    remote.finish_json(answer)
    print_table(titles, rows, empty="there are no tokens; `stoker tokens create` creates one")
