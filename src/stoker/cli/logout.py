"""`stoker logout`: forget a token."""

from __future__ import annotations

import click

from stoker.cli.connecting import api_address, store_credentials, stored_credentials, token_source
from stoker.cli.output import tell


@click.command("logout")
@click.option("--api-url", help="The API; else DEPOT_API_URL, else where you logged in last.")
def command(api_url: str | None) -> None:
    """Forget the token of a login.

    The server isn't told: whoever has a copy of the token can use it until it expires.
    """
    credentials = stored_credentials()
    if not (api_url or credentials.tokens):
        tell("there is no login")
        return
    url = api_address(api_url)
    if url not in credentials.tokens:
        tell(f"there is no login at {url}")
        return
    store_credentials(credentials.without(url))
    tell(f"the login at {url} is forgotten")
    if token_source():
        tell(f"{token_source()} is still set in this shell")
