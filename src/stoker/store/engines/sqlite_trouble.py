"""Errors of the host that keep the database from working (https://sqlite.org/rescode.html)."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy.exc import OperationalError

from stoker.domain.errors import ResourceExhausted, StokerError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Generator

_OPERATOR = "its operator has to look after it"
_BY_SIGN: dict[str, StokerError] = {
    "locked": Unavailable("the server's database is busy; try again"),
    "database or disk is full": ResourceExhausted(f"the server's disk is full; {_OPERATOR}; try again later"),
    "readonly database": Unavailable(f"the server's disk is read-only; {_OPERATOR}; try again later"),
    "disk I/O error": Unavailable(f"the server's disk can't be used; {_OPERATOR}; try again later"),
    "unable to open database file": Unavailable(f"the server's database can't be opened; {_OPERATOR}"),
}

_log = logging.getLogger(__name__)


@contextmanager
def reporting_host_errors() -> Generator[None]:
    """Replace a database error that is the host's fault by one for callers.

    Raises:
        ResourceExhausted: the disk is full.
        Unavailable: the database is locked, or the disk can't be used.
    """
    try:
        yield
    except (OperationalError, sqlite3.OperationalError) as error:
        said = str(error.orig if isinstance(error, OperationalError) else error)
        told = next((told for sign, told in _BY_SIGN.items() if sign in said), None)
        if told is None:
            raise
        _log.error("the database says: %s", said)
        raise type(told)(told.message) from error
