"""What commands that call the API share: flags, calls, and hints for errors."""

from __future__ import annotations

import asyncio
import functools
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Concatenate, NoReturn, TypeVar

import click
from connectrpc.client import ConnectClient
from connectrpc.code import Code

from stoker.cli.connecting import resolve_caller, token_source
from stoker.cli.output import print_json
from stoker.cli.project_choice import only_id_of
from stoker.cli.terminal import Problem, write
from stoker.client.calls import Caller, Calls
from stoker.client.errors import ApiError, UntrustedCertificate
from stoker.domain.ids import is_id

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from typing import Any

    from protobuf import Message

Service = TypeVar("Service", bound=ConnectClient)
Answer = TypeVar("Answer")
Item = TypeVar("Item")
Part = TypeVar("Part")
Decorated = TypeVar("Decorated", bound="Callable[..., object]")

_INTERRUPTED = 130
_LARGEST_PAGE = 500
_LARGEST_LIST = 100_000
# Arguments of commands that name a project.
_PROJECTS = ("project", "project_id")


@dataclass(slots=True)
class Remote:
    """The API as a command calls it, on one connection, and whether its answers are printed as JSON."""

    caller: Caller
    as_json: bool = False
    _calls: Calls | None = None

    def call(self, service: type[Service], method: Callable[[Service], Coroutine[Any, Any, Answer]]) -> Answer:
        """Make one call, or several of one service.

        Raises:
            Problem: the API refused the call, or can't be reached.
        """

        async def work() -> Answer:
            if self._calls is None:
                self._calls = Calls(self.caller)
            return await method(self._calls.of(service))

        return wait_for(work())

    def organization_id(self, named: str) -> str:
        """The id of an organization, which may be named by its id.

        Raises:
            Problem: the caller is in no organization of that name, or in several.
        """
        if is_id(named):
            return named
        from stoker._gen.depot.core.v1.organization_connect import OrganizationServiceClient
        from stoker._gen.depot.core.v1.organization_pb import ListOrganizationsRequest

        request = ListOrganizationsRequest()
        answer = self.call(OrganizationServiceClient, lambda all_: all_.list_organizations(request))
        return only_id_of("organization", named, [(one.org_id, one.name) for one in answer.organizations])

    def project_id(self, named: str) -> str:
        """The id of a project, which may be named by its id.

        Raises:
            Problem: no project has that name, or several have it.
        """
        return named if is_id(named) else only_id_of("project", named, self.project_names().items())

    def project_names(self) -> dict[str, str]:
        """The names of all projects that the caller may see, by their ids."""
        from stoker._gen.depot.core.v1.project_connect import ProjectServiceClient
        from stoker._gen.depot.core.v1.project_pb import ListProjectsRequest

        answer = self.call(ProjectServiceClient, lambda projects: projects.list_projects(ListProjectsRequest()))
        return {one.project_id: one.name for one in answer.projects}

    def shown_projects(self) -> Callable[[str], str]:
        """Shows a project, given its id, as a name with the id."""
        names = self.project_names()
        return lambda id_: f"{names[id_]} ({id_})" if id_ in names else id_

    def finish_json(self, answer: Message) -> None:
        """With ``--json``, print the answer as JSON and end the command."""
        if self.as_json:
            _finish(answer)

    def part(self, answer: Message, part: Part | None) -> Part:
        """The part of an answer that a person is shown; without it, or with ``--json``, see `finish_json`."""
        if self.as_json or part is None:
            _finish(answer)
        return part


def _finish(answer: Message) -> NoReturn:
    print_json(answer)
    raise click.exceptions.Exit(0)


def api_command(function: Callable[Concatenate[Remote, ...], None]) -> Callable[..., None]:
    """Add the flags of commands that call the API, and pass the command a `Remote`.

    Projects and the organization may be named by their name or their id. The command gets ids.
    """

    @click.option("--api-url", help="Address of the API. Default: DEPOT_API_URL, else your last login.")
    @click.option(
        "--organization",
        "organization_id",
        help="Name or id of the organization. Default: DEPOT_ORG_ID, else your first.",
    )
    @functools.wraps(function)
    def command(
        *,
        api_url: str | None,
        organization_id: str | None,
        as_json: bool = False,
        **arguments: Any,  # noqa: ANN401
    ) -> None:
        remote = Remote(_with_organization_id(resolve_caller(api_url, organization_id)), as_json)
        for name in _PROJECTS:
            if arguments.get(name):
                arguments[name] = remote.project_id(arguments[name])
        function(remote, **arguments)

    return command


def remote_command(function: Callable[Concatenate[Remote, ...], None]) -> Callable[..., None]:
    """The same, with ``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")(api_command(function))


def _with_organization_id(caller: Caller) -> Caller:
    """The caller with the id of the organization that is named."""
    named = caller.organization_id
    if named is None or is_id(named):
        return caller
    return replace(caller, organization_id=Remote(replace(caller, organization_id=None)).organization_id(named))


def limit_flag(default: int) -> Callable[[Decorated], Decorated]:
    """The ``--limit`` of lists that come in pages."""
    bounds = click.IntRange(1, _LARGEST_LIST)
    return click.option("--limit", type=bounds, default=default, show_default=True, help="Largest number of entries.")


async def follow_pages(
    fetch: Callable[[int, str], Coroutine[Any, Any, tuple[Sequence[Item], str]]], limit: int
) -> tuple[list[Item], str]:
    """Read a list that comes in pages: at most ``limit`` items, and the token of the next page; "" for none.

    Args:
        fetch: reads one page, by its size and token.
        limit: how many items at most.
    """
    items: list[Item] = []
    token = ""
    while len(items) < limit:
        page, token = await fetch(min(_LARGEST_PAGE, limit - len(items)), token)
        items.extend(page)
        if not token:
            break
    return items, token


def wait_for(work: Coroutine[Any, Any, Answer]) -> Answer:
    """Run calls of the API.

    Raises:
        Problem: the API refused the call, or can't be reached.
    """
    try:
        return asyncio.run(work)
    except ApiError as error:
        raise Problem(str(error), hint_for(error)) from error
    except KeyboardInterrupt:
        _leave_canceled()


def _leave_canceled() -> NoReturn:
    write("canceled", err=True)
    sys.exit(_INTERRUPTED)


def hint_for(error: ApiError) -> str:
    """What the user can do about an error; "" where the error itself says it."""
    if isinstance(error, UntrustedCertificate):
        return "if it is the server's own, name its authority (`stoker ca`): SSL_CERT_FILE=ca.pem"
    match error.code:
        case None:
            return "the address is from --api-url, else DEPOT_API_URL, else from your last login"
        case Code.UNAUTHENTICATED:
            source = token_source()
            return f"the token is from {source}" if source else "`stoker login` logs in again"
        case Code.PERMISSION_DENIED:
            source = token_source()
            by_variable = f"the token is from {source}; `stoker login`, and unset it, to act as yourself"
            return by_variable if source else "`stoker whoami` says with which role you are here"
        case Code.NOT_FOUND:
            return "check the id, and that it belongs to your organization (--organization)"
        case _:
            return ""
