"""What all pages need: services, cookies, templates, and one answer to errors."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from functools import cache, wraps
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, RedirectResponse, Response

from stoker.domain import errors
from stoker.domain.pacing import paced
from stoker.web.formats import FILTERS
from stoker.web.sessions import Cookies, SignedIn, signed_in

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from starlette.requests import Request

    from stoker.auth.company import CompanySignIn
    from stoker.domain.audit import AuditEvent
    from stoker.domain.clock import Randomness
    from stoker.domain.rates import Bound
    from stoker.services.all import Services
    from stoker.web.page_sizes import PageSizes

    Endpoint = Callable[[Request], Awaitable[Response]]
    """Answers a request for a page."""

_STATUS: dict[type[errors.StokerError], int] = {
    errors.InvalidInput: 400,
    errors.Unauthenticated: 401,
    errors.PermissionDenied: 403,
    errors.NotFound: 404,
    errors.AlreadyExists: 409,
    errors.FailedPrecondition: 409,
    errors.ResourceExhausted: 429,
    errors.Unavailable: 503,
}
_log = logging.getLogger(__name__)
_templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.filters.update(FILTERS)


@dataclass(frozen=True, slots=True)
class WebContext:
    """What all pages share: the services that they call, and the few settings that they need themselves."""

    services: Services
    audit_json: Callable[[AuditEvent], str]
    page_sizes: PageSizes
    company: CompanySignIn | None
    company_name: str
    randomness: Randomness
    cookies: Cookies
    live_refreshes_per_second: float
    build_pages: Bound
    now: Callable[[], datetime]
    monotonic: Callable[[], float]


def render(template: str, who: SignedIn | None = None, *, status: int = 200, **values: object) -> HTMLResponse:
    """A page from a template, which sees ``who`` is signed in."""
    return HTMLResponse(rendered(template, who, **values), status)


def rendered(template: str, who: SignedIn | None = None, **values: object) -> str:
    """The HTML of such a page."""
    return _templates.get_template(template).render(who=who, **values)


async def rendered_in_pieces(template: str, who: SignedIn | None = None, **values: object) -> str:
    """The same of a page that takes long, while others have their turns.

    Pieces are what the template itself writes: what a macro makes is one of them.
    """
    # Compiled when they are first used, which takes tens of milliseconds; all that a page includes, too.
    await asyncio.to_thread(_compile_templates)
    return "".join(await paced(_templates.get_template(template).generate(who=who, **values)))


@cache
def _compile_templates() -> None:
    for name in _templates.list_templates():
        _templates.get_template(name)


def go_to(path: str) -> RedirectResponse:
    """Send the browser on, with GET."""
    return RedirectResponse(path, 303)


def told(error: errors.StokerError, who: SignedIn | None = None) -> HTMLResponse:
    """A page that says what went wrong."""
    return render("message.html", who, status=status_of(error), title="That didn't work", text=error.message)


def status_of(error: errors.StokerError) -> int:
    """The HTTP status that goes with an error."""
    return _STATUS.get(type(error), 500)


def page(randomness: Randomness) -> Callable[[Endpoint], Endpoint]:
    """Lets a page raise: what its reader can understand is told, all else is logged under an id."""

    def decorate(endpoint: Endpoint) -> Endpoint:
        @wraps(endpoint)
        async def answer(request: Request) -> Response:
            try:
                return await endpoint(request)
            except errors.StokerError as error:
                return told(error)
            except Exception:
                error_id = randomness.token_bytes(6).hex()
                _log.exception("error %s in page %s", error_id, request.url.path[:200])
                text = f"Something went wrong in the server; its log has the details of {error_id}."
                return render("message.html", status=500, title="That didn't work", text=text)

        return answer

    return decorate


class Pages:
    """The base of groups of pages."""

    def __init__(self, context: WebContext) -> None:
        self.context = context
        self.services = context.services

    async def who(self, request: Request) -> SignedIn | None:
        """Who is signed in."""
        return await signed_in(request, self.context.cookies, self.services.sign_in)


def sign_in_first(request: Request, afterwards: str | None = None) -> RedirectResponse:
    """To the sign-in page, and afterwards back here, or to another page where this one only takes forms."""
    return go_to(f"/sign-in?next={quote(afterwards or request.url.path)}")
