"""The tokens that `stoker login` stores, one for each API."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_FOLDER_MODE = 0o700


class CredentialsError(Exception):
    """The file of the credentials can't be used; the text is for the user."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Tokens by the address of their API, and the default API."""

    current: str | None = None
    tokens: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)

    def with_login(self, url: str, token: str) -> Credentials:
        """With one more login, which becomes the default."""
        return Credentials(url, {**self.tokens, url: token})

    def without(self, url: str) -> Credentials:
        """Without the login at an API. If one is left, it becomes the default."""
        left = {known: token for known, token in self.tokens.items() if known != url}
        if self.current != url:
            return replace(self, tokens=left)
        return Credentials(next(iter(left)) if len(left) == 1 else None, left)


def read_credentials(file: Path) -> Credentials:
    """The credentials of a file; none when there is no file.

    Raises:
        CredentialsError: it can't be read, or isn't one of ours.
    """
    # Where variables name the API and the token, no file is read.
    import tomllib

    try:
        content = tomllib.loads(file.read_text())
        tokens = {str(url): str(server["token"]) for url, server in content.get("servers", {}).items()}
        return Credentials(content.get("current"), tokens)
    except FileNotFoundError:
        return Credentials()
    except OSError as error:
        raise CredentialsError(f"{file} can't be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CredentialsError(f"{file} is damaged; remove it and log in again") from error


def write_credentials(file: Path, credentials: Credentials) -> None:
    """Write a file that only its owner may read, in a folder that only its owner may enter.

    Raises:
        CredentialsError: it can't be written.
    """
    import tomli_w

    from stoker.pki.private_files import write_private

    content = {
        **({} if credentials.current is None else {"current": credentials.current}),
        "servers": {url: {"token": token} for url, token in credentials.tokens.items()},
    }
    try:
        file.parent.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        file.parent.chmod(_FOLDER_MODE)
        write_private(file, tomli_w.dumps(content).encode())
    except OSError as error:
        raise CredentialsError(f"{file} can't be written: {error.strerror}") from error
