"""Everything that can go wrong for a reason a caller can understand.

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
    """The request can't be right, whatever state the server is in."""


class Unauthenticated(StokerError):
    """There is no credential, or it isn't valid."""


class PermissionDenied(StokerError):
    """The credential is valid, but not for this."""


class NotFound(StokerError):
    """What is named doesn't exist, or isn't the caller's to know of."""


class AlreadyExists(StokerError):
    """What should be made is there already."""


class FailedPrecondition(StokerError):
    """The request is right, but not in the state that things are in."""


class ResourceExhausted(StokerError):
    """A limit is reached."""


class TooBusy(ResourceExhausted):
    """A limit of how much is done at once, or in a second, is reached; after ``retry_seconds`` it may not be."""

    def __init__(self, message: str, retry_seconds: float) -> None:
        super().__init__(message)
        self.retry_seconds = retry_seconds


class Unavailable(StokerError):
    """Not now; trying again later can help."""


class Unimplemented(StokerError):
    """The method is part of the contract and not built yet."""


class IllegalTransition(Exception):
    """A state change that no table allows: a mistake in stoker, never the caller's."""
