"""The one place where errors become Connect codes."""

from __future__ import annotations

import logging
import re
from datetime import timedelta
from typing import TYPE_CHECKING

from connectrpc.code import Code
from connectrpc.errors import ConnectError
from protobuf.wkt import Duration
from sqlalchemy.exc import OperationalError

from stoker._gen.google.rpc.error_details_pb import RetryInfo
from stoker.domain import errors

if TYPE_CHECKING:
    from stoker.domain.clock import Randomness

_CODES: dict[type[errors.StokerError], Code] = {
    errors.InvalidInput: Code.INVALID_ARGUMENT,
    errors.Unauthenticated: Code.UNAUTHENTICATED,
    errors.PermissionDenied: Code.PERMISSION_DENIED,
    errors.NotFound: Code.NOT_FOUND,
    errors.AlreadyExists: Code.ALREADY_EXISTS,
    errors.FailedPrecondition: Code.FAILED_PRECONDITION,
    errors.ResourceExhausted: Code.RESOURCE_EXHAUSTED,
    errors.Unavailable: Code.UNAVAILABLE,
    errors.Unimplemented: Code.UNIMPLEMENTED,
}
_OPERATOR = "its operator has to look after it"
_DATABASE_TROUBLE: dict[str, tuple[Code, str]] = {
    "locked": (Code.UNAVAILABLE, "the server's database is busy; try again"),
    "database or disk is full": (Code.RESOURCE_EXHAUSTED, f"the server's disk is full; {_OPERATOR}; try again later"),
    "readonly database": (Code.UNAVAILABLE, f"the server's disk is read-only; {_OPERATOR}; try again later"),
    "disk I/O error": (Code.UNAVAILABLE, f"the server's disk can't be used; {_OPERATOR}; try again later"),
    "unable to open database file": (Code.UNAVAILABLE, f"the server's database can't be opened; {_OPERATOR}"),
}
_LONGEST_PROBLEM = 400
_CLASS_NAME = re.compile(r"<class '([\w.]+)'>")

_log = logging.getLogger(__name__)


def to_connect_error(error: Exception, method: str, message_name: str, randomness: Randomness) -> ConnectError:
    """What a caller is told about ``error``. What nobody expected is logged under an id, and only the id is told."""
    if isinstance(error, errors.TooBusy):
        delay = Duration.from_timedelta(timedelta(seconds=error.retry_seconds))
        return ConnectError(Code.RESOURCE_EXHAUSTED, error.message, [RetryInfo(retry_delay=delay)])
    if isinstance(error, errors.StokerError):
        return ConnectError(_CODES.get(type(error), Code.INTERNAL), error.message)
    if isinstance(error, ConnectError):
        return _plainer(error, method, message_name)
    error_id = randomness.token_bytes(6).hex()
    if isinstance(error, OperationalError) and (told := _database_trouble(str(error.orig))) is not None:
        code, advice = told
        _log.error("error %s in %s: the database says: %s", error_id, method, error.orig)
        return ConnectError(code, f"{advice} (error {error_id})")
    _log.error("error %s in %s", error_id, method, exc_info=error)
    return ConnectError(Code.INTERNAL, f"something went wrong in the server; its log has the details of {error_id}")


def _database_trouble(text: str) -> tuple[Code, str] | None:
    """What a caller is told of trouble that isn't the database's own but its host's (https://sqlite.org/rescode.html)."""
    return next((told for sign, told in _DATABASE_TROUBLE.items() if sign in text), None)


def _plainer(error: ConnectError, method: str, message_name: str) -> ConnectError:
    """Errors that the RPC library made of a request, in words for somebody who doesn't know the library."""
    if error.code is Code.INVALID_ARGUMENT and error.message.startswith("unmarshal message"):
        problem = _CLASS_NAME.sub(r"\1", error.message.partition(": ")[2]) or "it can't be decoded"
        if len(problem) > _LONGEST_PROBLEM:
            half = _LONGEST_PROBLEM // 2
            problem = f"{problem[:half]} … {problem[-half:]}"
        return ConnectError(Code.INVALID_ARGUMENT, f"the request is not a valid {message_name}: {problem}")
    if error.code is Code.UNIMPLEMENTED and error.message == "Not implemented":
        return ConnectError(
            Code.UNIMPLEMENTED, f"{method} is not built yet; the status table in stoker's README lists what is"
        )
    return error
