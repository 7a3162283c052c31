"""What all pages share: services, cookies, templates, and error pages."""

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
    """Handles a request for a page."""

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


def render(
    template: str,
    who: SignedIn | None = None,
    *,
    status: int = 200,
    problem: errors.StokerError | None = None,
    **values: object,
) -> HTMLResponse:
    """Render a template as a page.

    Args:
        template: its file.
        who: the signed-in person.
        status: the HTTP status without a problem.
        problem: an error that the page shows beside its form. The page has the status of that error.
        values: what else the template shows.
    """
    if problem is None:
        return HTMLResponse(rendered(template, who, problem="", **values), status)
    return HTMLResponse(rendered(template, who, problem=problem.message, **values), _status_of(problem))


def rendered(template: str, who: SignedIn | None = None, **values: object) -> str:
    """Render a template as HTML."""
    return _templates.get_template(template).render(who=who, **values)


async def rendered_in_pieces(template: str, who: SignedIn | None = None, **values: object) -> str:
    """Render a large page in pieces, so that other tasks can run in between.

    A piece is what the template itself writes; the output of a macro is one piece.
    """
    # Templates, and those that they include, are compiled on first use, which takes tens of milliseconds.
    await asyncio.to_thread(_compile_templates)
    return "".join(await paced(_templates.get_template(template).generate(who=who, **values)))


@cache
def _compile_templates() -> None:
    for name in _templates.list_templates():
        _templates.get_template(name)


def go_to(path: str) -> RedirectResponse:
    """Redirect the browser, with GET."""
    return RedirectResponse(path, 303)


def told(error: errors.StokerError, who: SignedIn | None = None) -> HTMLResponse:
    """A page with an error message."""
    return render("message.html", who, status=_status_of(error), title="That didn't work", text=error.message)


def _status_of(error: errors.StokerError) -> int:
    """The HTTP status of an error."""
    return _STATUS.get(type(error), 500)


class SignInFirst(errors.Unauthenticated):
    """A page that only people who are signed in may see."""

    def __init__(self, request: Request, afterwards: str | None = None) -> None:
        """Afterwards the reader comes back here, or to another page if this one only takes forms."""
        super().__init__("sign in to follow this page")
        self.afterwards = afterwards or request.url.path


def page(randomness: Randomness, endpoint: Endpoint, *, is_stream: bool = False) -> Endpoint:
    """Turns exceptions into error pages: known errors are shown, others are logged under an id.

    People who have to sign in are redirected. A stream (``is_stream``) can't do that, and refuses them.
    """

    @wraps(endpoint)
    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except SignInFirst as error:
            if is_stream:
                return told(errors.PermissionDenied(error.message))
            return go_to(f"/sign-in?next={quote(error.afterwards)}")
        except errors.StokerError as error:
            return told(error)
        except Exception:
            error_id = randomness.token_bytes(6).hex()
            _log.exception("error %s in page %s", error_id, request.url.path[:200])
            text = f"Something went wrong in the server; its log has the details of {error_id}."
            return render("message.html", status=500, title="That didn't work", text=text)

    return answer


class Pages:
    """The base of the handlers of pages."""

    def __init__(self, context: WebContext) -> None:
        self.context = context
        self.services = context.services

    async def who(self, request: Request) -> SignedIn | None:
        """The signed-in person, if any."""
        return await signed_in(request, self.context.cookies, self.services.sign_in)

    async def signed_in(self, request: Request, afterwards: str | None = None) -> SignedIn:
        """The signed-in person.

        Raises:
            SignInFirst: nobody is; see there for ``afterwards``.
        """
        who = await self.who(request)
        if who is None:
            raise SignInFirst(request, afterwards)
        return who
