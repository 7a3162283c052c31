"""Cookies, and the person who is signed in with them."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.requests import Request

from stoker.domain.errors import PermissionDenied

if TYPE_CHECKING:
    from datetime import timedelta

    from starlette.responses import Response
    from starlette.types import Scope

    from stoker.domain.people import Person
    from stoker.services.sign_in import SignInService

_CSRF_FIELD = "csrf"
_IS_SIGNED_IN = "stoker.signed_in"


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A signed-in person, and the token that their forms must contain."""

    person: Person
    csrf: str

    def require_form(self, form: dict[str, str]) -> None:
        """Check that a form came from one of this session's pages.

        Raises:
            PermissionDenied: it did not.
        """
        if not hmac.compare_digest(form.get(_CSRF_FIELD, "").encode(), self.csrf.encode()):
            raise PermissionDenied("this page is out of date; open it again and repeat what you did")


@dataclass(frozen=True, slots=True)
class Cookies:
    """Names and attributes of our cookies.

    Over https they have the prefix __Host- (RFC 6265bis, section 4.1.3.2), so that no other host of the domain can set
    them. SameSite is Lax, so that a person who follows a link from a terminal or a mail is signed in.
    """

    is_https: bool
    session_lifetime: timedelta

    def read(self, request: Request, name: str) -> str:
        """A cookie's value, or ""."""
        return request.cookies.get(self._name(name), "")[:500]

    def write(self, response: Response, name: str, value: str, seconds: int) -> None:
        """Set a cookie that scripts can't read."""
        response.set_cookie(
            self._name(name), value, max_age=seconds, path="/", secure=self.is_https, httponly=True, samesite="lax"
        )

    def key(self, scope: Scope) -> bytes | None:
        """The key of a session, valid or not; None without a cookie."""
        secret = self.read(Request(scope), "session")
        return hashlib.blake2b(secret.encode(), digest_size=16).digest() if secret else None

    def clear(self, response: Response, name: str) -> None:
        """Remove a cookie."""
        response.delete_cookie(self._name(name), path="/", secure=self.is_https, httponly=True, samesite="lax")

    def open_session(self, response: Response, secret: str) -> None:
        """Sign a browser in."""
        self.write(response, "session", secret, int(self.session_lifetime.total_seconds()))

    def _name(self, name: str) -> str:
        return f"{'__Host-' if self.is_https else ''}stoker-{name}"


async def signed_in(request: Request, cookies: Cookies, sign_in: SignInService) -> SignedIn | None:
    """The person who is signed in with this browser, or None."""
    secret = cookies.read(request, "session")
    person = await sign_in.person_of(secret) if secret else None
    if person is None:
        return None
    request.scope[_IS_SIGNED_IN] = True
    return SignedIn(person, hashlib.sha256(b"csrf " + secret.encode()).hexdigest())


def was_signed_in(scope: Scope) -> bool:
    """Whether a valid session was seen while the request was handled."""
    return _IS_SIGNED_IN in scope
