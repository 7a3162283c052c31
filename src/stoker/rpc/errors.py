"""The one place where errors become Connect codes."""

from __future__ import annotations

import logging
import re
from datetime import timedelta
from typing import TYPE_CHECKING

from connectrpc.code import Code
from connectrpc.errors import ConnectError
from protobuf.wkt import Duration

from stoker._gen.google.rpc.error_details_pb import RetryInfo
from stoker.domain import errors
from stoker.domain.shortening import shortened

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
_LONGEST_PROBLEM = 400
_CLASS_NAME = re.compile(r"<class '([\w.]+)'>")

_log = logging.getLogger(__name__)


def to_connect_error(error: Exception, method: str, message_name: str, randomness: Randomness) -> ConnectError:
    """The error that a caller gets. Unexpected errors are logged under an id, and the caller gets the id."""
    if isinstance(error, errors.TooBusy):
        delay = Duration.from_timedelta(timedelta(seconds=error.retry_seconds))
        return ConnectError(Code.RESOURCE_EXHAUSTED, error.message, [RetryInfo(retry_delay=delay)])
    if isinstance(error, errors.StokerError):
        return ConnectError(_CODES.get(type(error), Code.INTERNAL), error.message)
    if isinstance(error, ConnectError):
        return _plainer(error, method, message_name)
    error_id = randomness.token_bytes(6).hex()
    _log.error("error %s in %s", error_id, method, exc_info=error)
    return ConnectError(Code.INTERNAL, f"something went wrong in the server; its log has the details of {error_id}")


def _plainer(error: ConnectError, method: str, message_name: str) -> ConnectError:
    """Rewords the RPC library's errors for callers who don't know the library."""
    if error.code is Code.INVALID_ARGUMENT and error.message.startswith("unmarshal message"):
        problem = _CLASS_NAME.sub(r"\1", error.message.partition(": ")[2]) or "it can't be decoded"
        problem = shortened(problem, _LONGEST_PROBLEM)
        return ConnectError(Code.INVALID_ARGUMENT, f"the request is not a valid {message_name}: {problem}")
    if error.code is Code.UNIMPLEMENTED and error.message == "Not implemented":
        return ConnectError(
            Code.UNIMPLEMENTED, f"{method} is not built yet; the status table in stoker's README lists what is"
        )
    return error
