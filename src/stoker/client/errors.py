"""What a client of the API is told when a call fails."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from connectrpc.code import Code
from connectrpc.errors import ConnectError

from stoker.buildkit.cancellation import cancellable

if TYPE_CHECKING:
    from collections.abc import Generator

_NOT_SENT = "error sending request"  # how pyqwest begins when no answer came at all
_UNTRUSTED = "invalid peer certificate"  # rustls's words


class ApiError(Exception):
    """The API refused a call, or could not be reached; the text is for the user.

    ``code`` is the API's, or None when there was no answer.
    """

    def __init__(self, message: str, code: Code | None = None) -> None:
        super().__init__(message)
        self.code = code

    @property
    def has_ended(self) -> bool:
        """Whether it refused because the build, or its endpoint, is over."""
        return self.code in {Code.FAILED_PRECONDITION, Code.NOT_FOUND, Code.UNAUTHENTICATED}

    @property
    def may_pass(self) -> bool:
        """Whether there was no answer, or only one that the server can't answer now."""
        return self.code in {None, Code.UNAVAILABLE}


class UntrustedCertificate(ApiError):
    """The API's certificate is signed by nobody whom this machine trusts, or is for another name."""

    @property
    def may_pass(self) -> bool:
        """It doesn't."""
        return False


@contextmanager
def plain_errors(url: str) -> Generator[None]:
    """Turn what the RPC client raises into ApiError.

    Raises:
        ApiError: instead of ConnectError.
    """
    try:
        with cancellable():
            yield
    except ConnectError as error:
        if error.code is Code.UNAVAILABLE and _UNTRUSTED in error.message:
            raise UntrustedCertificate(f"the certificate of the API at {url} is not trusted here") from error
        if error.code is Code.UNAVAILABLE and _NOT_SENT in error.message:
            raise ApiError(f"can't reach the API at {url}; is the server running?") from error
        if error.code is Code.DEADLINE_EXCEEDED:
            raise ApiError(f"the API at {url} took too long to answer", error.code) from error
        raise ApiError(f"{error.message} ({error.code.value})", error.code) from error
