"""Errors that a caller can understand.

`rpc.errors` maps each class to its Connect code, and `cli` to a line with a hint. The text is meant for the caller:
it says what to do and holds no secret.
"""

from __future__ import annotations


class StokerError(Exception):
    """The base of all errors whose text may be shown to a caller."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class InvalidInput(StokerError):
    """The request is wrong in any state of the server."""


class Unauthenticated(StokerError):
    """The credential is missing or not valid."""


class PermissionDenied(StokerError):
    """The credential doesn't allow this."""


class NotFound(StokerError):
    """There is no such thing, or the caller may not know of it."""


class AlreadyExists(StokerError):
    """It exists already."""


class FailedPrecondition(StokerError):
    """The request is right, but not in the current state."""


class ResourceExhausted(StokerError):
    """A limit is reached."""


class TooBusy(ResourceExhausted):
    """A limit of rate or concurrency is reached; retry after ``retry_seconds``."""

    def __init__(self, message: str, retry_seconds: float) -> None:
        super().__init__(message)
        self.retry_seconds = retry_seconds


class Unavailable(StokerError):
    """Temporary; a retry can help."""


class Unimplemented(StokerError):
    """The method is part of the contract and not built yet."""


class IllegalTransition(Exception):
    """A state change that the table doesn't allow: a bug in stoker, never the caller's fault."""
