"""What all commands that call the API share: their flags, one call, and what a refusal means."""

from __future__ import annotations

import asyncio
import functools
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Concatenate, NoReturn, TypeVar

import click
from connectrpc.client import ConnectClient
from connectrpc.code import Code

from stoker.cli.connecting import resolve_caller, token_source
from stoker.cli.terminal import Problem, write
from stoker.client.calls import Caller, Calls
from stoker.client.errors import ApiError, UntrustedCertificate

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from typing import Any

Service = TypeVar("Service", bound=ConnectClient)
Answer = TypeVar("Answer")
Item = TypeVar("Item")
Decorated = TypeVar("Decorated", bound="Callable[..., object]")

_INTERRUPTED = 130
_LARGEST_PAGE = 500
_LARGEST_LIST = 100_000


@dataclass(frozen=True, slots=True)
class Remote:
    """The API as a command calls it, and whether its answers are printed as JSON."""

    caller: Caller
    as_json: bool

    def call(self, service: type[Service], method: Callable[[Service], Coroutine[Any, Any, Answer]]) -> Answer:
        """Make one call, or several of one service.

        Raises:
            Problem: the API refused, or is not there.
        """

        async def work() -> Answer:
            return await method(Calls(self.caller).of(service))

        return wait_for(work())


def remote_command(function: Callable[Concatenate[Remote, ...], None]) -> Callable[..., None]:
    """Give a command the flags of all commands that call the API, and pass it what they say."""

    @click.option("--api-url", help="The API; else DEPOT_API_URL, else where you logged in last.")
    @click.option(
        "--organization", "organization_id", help="Id of the one that you mean; else DEPOT_ORG_ID, else your first."
    )
    @click.option("--json", "as_json", is_flag=True, help="Print the API's JSON.")
    @functools.wraps(function)
    def command(*, api_url: str | None, organization_id: str | None, as_json: bool, **arguments: Any) -> None:  # noqa: ANN401
        function(Remote(resolve_caller(api_url, organization_id), as_json), **arguments)

    return command


def limit_flag(default: int) -> Callable[[Decorated], Decorated]:
    """The flag of lists that come in pages: how long they get at most."""
    bounds = click.IntRange(1, _LARGEST_LIST)
    return click.option("--limit", type=bounds, default=default, show_default=True, help="How many at most.")


async def follow_pages(
    fetch: Callable[[int, str], Coroutine[Any, Any, tuple[Sequence[Item], str]]], limit: int
) -> tuple[list[Item], str]:
    """Items of a list that comes in pages, ``limit`` of them at most, and the token of the next page; "" for none.

    Args:
        fetch: gets a page of a size by its token.
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
    """Wait for something that the API does.

    Raises:
        Problem: the API refused, or is not there.
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
    """What somebody can do about it; "" where only the error itself can say."""
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
            return "check the id, and that it is of the organization that you mean"
        case _:
            return ""
