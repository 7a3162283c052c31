"""The database: PostgreSQL by its URL, or a SQLite file in the data folder."""

from __future__ import annotations

import re
from urllib.parse import unquote

from pydantic import Field, field_validator
from pydantic.dataclasses import dataclass

from stoker.settings.group import STRICT

_SCHEMES = ("postgresql", "postgres")
_CREDENTIALS = re.compile(r"^(\w+://[^:/@?#]*):.*@")
_PARAMETER = re.compile(r"([?&])([^=&]+)=([^&]*)")
_SECRETS = frozenset({"password", "sslpassword"})


@dataclass(frozen=True, kw_only=True, config=STRICT)
class DatabaseSettings:
    """The database: PostgreSQL by its URL, or a SQLite file in the data folder."""

    database: str = Field(
        default="",
        repr=False,
        description="URL of a PostgreSQL database, as libpq has it; empty for SQLite in the data folder.",
    )
    max_database_connections: int = Field(
        default=10, ge=2, le=1000, description="Connections to PostgreSQL at once; what needs another one waits."
    )
    database_connect_timeout_seconds: float = Field(
        default=5, ge=2, le=60, description="How long a connection to PostgreSQL is tried."
    )
    database_statement_timeout_seconds: float = Field(
        default=60, ge=1, le=3600, description="How long PostgreSQL may work on one statement."
    )
    database_lock_timeout_seconds: float = Field(
        default=10, ge=0.1, le=3600, description="How long a transaction waits for another one's lock, or a connection."
    )

    @field_validator("database")
    @classmethod
    def _url(cls, value: str) -> str:
        # What is wrong with it is not repeated: it may hold a password.
        if value and not value.startswith(tuple(f"{scheme}://" for scheme in _SCHEMES)):
            raise ValueError("it is no URL such as postgresql://stoker@db.example.com/stoker; leave it out for SQLite")
        return value


def without_password(url: str) -> str:
    """A database's URL with its passwords masked, for people to see."""

    def masked(found: re.Match[str]) -> str:
        mark, name, value = found.groups()
        return f"{mark}{name}={'***' if unquote(name).lower() in _SECRETS else value}"

    # Too much rather than too little: a password may have characters that should have been encoded.
    return _PARAMETER.sub(masked, _CREDENTIALS.sub(r"\1:***@", url))
