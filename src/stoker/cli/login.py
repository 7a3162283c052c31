"""`stoker login`: get a token for this user, approved in a browser."""

from __future__ import annotations

import asyncio
import sys

import click

from stoker._gen.stoker.v1.organizations_connect import AccountServiceClient
from stoker._gen.stoker.v1.organizations_pb import GetAccountRequest
from stoker.cli.connecting import api_address, credentials_file, store_credentials, stored_credentials, token_source
from stoker.cli.remote import wait_for
from stoker.cli.terminal import tell
from stoker.client.calls import Caller, Calls
from stoker.client.login import StartedLogin, finish_login, start_login

_SIGN_OF_LIFE_SECONDS = 30.0
_WAITING = "waiting for the approval"


@click.command("login")
@click.option("--api-url", help="Address of the API. Default: DEPOT_API_URL, else your last login.")
@click.option("--open", "open_browser", is_flag=True, help="Open the page in a browser.")
def command(api_url: str | None, open_browser: bool) -> None:  # noqa: FBT001
    """Log in to a server.

    You approve the login in a browser. The token is stored in ~/.config/stoker/credentials.toml. `depot login` does
    the same for the depot CLI.
    """
    url = api_address(api_url)
    stored_credentials()  # so that an unreadable file is reported before the approval
    started = wait_for(start_login(url))
    tell(f"Open this page, and approve the login there:\n\n    {started.approve_url}\n")
    if open_browser and started.approve_url.startswith(("https://", "http://")):
        click.launch(started.approve_url)
    token = wait_for(_with_signs_of_life(url, started))
    store_credentials(stored_credentials().with_login(url, token))
    tell(f"{wait_for(_name(Caller(url, token)))} is logged in at {url}; {credentials_file()} keeps the token")
    if token_source():
        tell(f"{token_source()} is set in this shell and takes precedence over the login; unset it to use the login")


async def _with_signs_of_life(url: str, started: StartedLogin) -> str:
    if sys.stderr.isatty():
        from rich.console import Console

        with Console(stderr=True).status(_WAITING):
            return await finish_login(url, started)
    speaking = asyncio.create_task(_speak())
    try:
        return await finish_login(url, started)
    finally:
        speaking.cancel()


async def _speak() -> None:
    while True:
        tell(f"{_WAITING} ...")
        await asyncio.sleep(_SIGN_OF_LIFE_SECONDS)


async def _name(caller: Caller) -> str:
    answer = await Calls(caller).of(AccountServiceClient).get_account(GetAccountRequest())
    return f"{answer.person.name} ({answer.person.email})" if answer.person else "somebody"
