"""Which API a command calls, and with which token: from flags, else from the environment, else from `stoker login`."""

from __future__ import annotations

import os
from pathlib import Path

from stoker.cli.terminal import Problem
from stoker.client.calls import Caller
from stoker.client.credentials import Credentials, CredentialsError, read_credentials, write_credentials
from stoker.client.transport import checked_url

_URL_VARIABLE = "DEPOT_API_URL"
_TOKEN_VARIABLE = "DEPOT_TOKEN"  # noqa: S105
_ORGANIZATION_VARIABLE = "DEPOT_ORG_ID"


def credentials_file() -> Path:
    """The file that stores logins."""
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(base) / "stoker" / "credentials.toml"


def stored_credentials() -> Credentials:
    """The stored logins.

    Raises:
        Problem: their file can't be read.
    """
    try:
        return read_credentials(credentials_file())
    except CredentialsError as error:
        raise Problem(str(error)) from error


def store_credentials(credentials: Credentials) -> None:
    """Store logins.

    Raises:
        Problem: their file can't be written.
    """
    try:
        write_credentials(credentials_file(), credentials)
    except CredentialsError as error:
        raise Problem(str(error)) from error


def api_address(given: str | None) -> str:
    """The API that a command calls.

    Args:
        given: the value of ``--api-url``, if any.

    Raises:
        Problem: there is no address, or it is not valid.
    """
    text, source = given, "--api-url"
    if not text:
        text, source = os.environ.get(_URL_VARIABLE), _URL_VARIABLE
    if not text:
        text, source = stored_credentials().current, str(credentials_file())
    if not text:
        raise Problem(
            f"{_URL_VARIABLE} is not set, and there is no login",
            f"`stoker login --api-url URL` logs in; or set {_URL_VARIABLE}, such as http://127.0.0.1:8080",
        )
    try:
        return checked_url(text)
    except ValueError as error:
        raise Problem(f"the API's address can't be taken from {source}: {error}") from error


def token_source() -> str | None:
    """The variable that holds a token, if it is set: it takes precedence over every login."""
    return _TOKEN_VARIABLE if os.environ.get(_TOKEN_VARIABLE) else None


def resolve_caller(api_url: str | None, organization_id: str | None = None) -> Caller:
    """The API that a command calls, and the token and organization to call it with.

    Args:
        api_url: the value of ``--api-url``.
        organization_id: the value of ``--organization``.

    Raises:
        Problem: an address or a token is missing.
    """
    url = api_address(api_url)
    token = os.environ.get(_TOKEN_VARIABLE) or stored_credentials().tokens.get(url)
    if not token:
        raise Problem(
            f"{_TOKEN_VARIABLE} is not set, and there is no login at {url}",
            f"`stoker login` logs in; where nobody can, {_TOKEN_VARIABLE} holds a project's or an organization's",
        )
    return Caller(url, token, organization_id or os.environ.get(_ORGANIZATION_VARIABLE) or None)
