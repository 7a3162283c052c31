"""Errors of PostgreSQL that are not the caller's fault.

Their codes: https://www.postgresql.org/docs/current/errcodes-appendix.html.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

from psycopg import Error, OperationalError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnectionFree

from stoker.domain.errors import ResourceExhausted, StokerError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Generator

_OPERATOR = "its operator has to look after it"
_BUSY = Unavailable("the server's database is busy; try again")
_LOST = Unavailable("the connection to the server's database was lost; check whether it was done, and try again")
_UNREACHABLE = Unavailable("the server's database can't be reached; try again")
_BY_STATE: dict[str, StokerError] = {
    "40001": _BUSY,  # serialization_failure
    "40P01": _BUSY,  # deadlock_detected
    "53200": _BUSY,  # out_of_memory
    "53300": _BUSY,  # too_many_connections
    "55P03": _BUSY,  # lock_not_available, after lock_timeout
    # query_canceled, by statement_timeout
    "57014": Unavailable("the server's database took too long; try again later"),
    "53100": ResourceExhausted(f"the disk of the server's database is full; {_OPERATOR}; try again later"),
    "25006": Unavailable(f"the server's database is read-only; {_OPERATOR}; try again later"),
    # Locks keep writers apart that could store the same thing. This is for those that nobody thought of.
    "23505": Unavailable("somebody else stored the same thing at the same moment; try again"),  # unique_violation
}
_GONE = frozenset({"57P01", "57P02", "57P03", "25P03"})  # shut down, crashed, starting, idle for too long

_log = logging.getLogger(__name__)


class DatabaseFailed(Exception):
    """PostgreSQL refused a statement. The text has no stored values, which PostgreSQL's own details have."""


def is_lost(error: DBAPIError) -> bool:
    """Whether an error means that there is no connection, or none any more."""
    if error.connection_invalidated:
        return True
    state = _state(error)
    return isinstance(error.orig, OperationalError) and (state is None or state.startswith("08") or state in _GONE)


@contextmanager
def reporting_errors(*, has_begun: bool) -> Generator[None]:
    """Replace errors of the database by those that callers understand.

    Args:
        has_begun: whether something may have been done before a connection was lost.

    Raises:
        ResourceExhausted: the database's disk is full.
        Unavailable: the database can't be reached, was lost, or is busy.
        DatabaseFailed: anything else.
    """
    try:
        yield
    except NoConnectionFree:
        _log.error("all connections to the database stayed in use (setting max_database_connections)")
        raise Unavailable(_BUSY.message) from None
    except DBAPIError as error:
        said, state = _said(error), _state(error)
        known = _BY_STATE.get(state or "")
        if is_lost(error):
            known = _LOST if has_begun else _UNREACHABLE
        if known is None:
            raise DatabaseFailed(f"{said} [SQL: {error.statement}]").with_traceback(error.__traceback__) from None
        _log.error("the database says: %s", said)
        raise type(known)(known.message) from None


def said_by(error: object) -> str:
    """The first line of an error of libpq, which names hosts and users, and no password."""
    return str(error).strip().partition("\n")[0]


def _state(error: DBAPIError) -> str | None:
    return error.orig.sqlstate if isinstance(error.orig, Error) else None


def _said(error: DBAPIError) -> str:
    """What PostgreSQL said, without details."""
    if not isinstance(error.orig, Error):
        return type(error.orig).__name__
    first = error.orig.diag.message_primary or said_by(error.orig)
    constraint = error.orig.diag.constraint_name
    about = f" ({constraint})" if constraint else ""
    return f"{type(error.orig).__name__} {error.orig.sqlstate or ''}: {first}{about}"
