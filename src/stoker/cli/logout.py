"""`stoker logout`: end a login."""

from __future__ import annotations

import click
from connectrpc.code import Code

from stoker._gen.stoker.v1.organizations_connect import AccountServiceClient
from stoker._gen.stoker.v1.organizations_pb import LogOutRequest
from stoker.cli.connecting import api_address, store_credentials, stored_credentials, token_source
from stoker.cli.remote import wait_for
from stoker.cli.terminal import Problem, tell
from stoker.client.calls import Caller, Calls
from stoker.client.errors import ApiError


@click.command("logout")
@click.option("--api-url", help="Address of the API. Default: DEPOT_API_URL, else your last login.")
@click.option("--local", "is_local", is_flag=True, help="Only delete the token here. Copies of it keep working.")
def command(api_url: str | None, is_local: bool) -> None:  # noqa: FBT001
    """End a login.

    Revokes its token on the server, and deletes it here.
    """
    credentials = stored_credentials()
    if not (api_url or credentials.tokens):
        tell("there is no login")
        return
    url = api_address(api_url)
    if url not in credentials.tokens:
        tell(f"there is no login at {url}")
        return
    if not is_local:
        wait_for(_revoke(Caller(url, credentials.tokens[url])))
    store_credentials(credentials.without(url))
    tell(f"the login at {url} is forgotten" if is_local else f"the login at {url} has ended")
    if token_source():
        tell(f"{token_source()} is still set in this shell")


async def _revoke(caller: Caller) -> None:
    try:
        await Calls(caller).of(AccountServiceClient).log_out(LogOutRequest())
    except ApiError as error:
        # It is invalid already: it has expired or was revoked.
        if error.code is not Code.UNAUTHENTICATED:
            raise Problem(str(error), "`stoker logout --local` only deletes it here") from error
