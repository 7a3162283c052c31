"""Sign in and out, and change the password."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stoker.auth.tokens import new_secret
from stoker.domain.errors import NotFound, StokerError
from stoker.web.forms import local_path, read_form
from stoker.web.page import Pages, go_to, render

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

_BROWSER_SECONDS = 15 * 60


class SignInPages(Pages):
    """Sessions of people."""

    async def show(self, request: Request) -> Response:
        """GET /sign-in."""
        wanted = local_path(request.query_params.get("next"))
        return self._form(wanted) if await self.who(request) is None else go_to(wanted)

    async def sign_in(self, request: Request) -> Response:
        """POST /sign-in."""
        form = await read_form(request)
        wanted = local_path(form.get("next"))
        try:
            opened = await self.services.sign_in.sign_in(form.get("email", ""), form.get("password", ""))
        except StokerError as error:
            return self._form(wanted, email=form.get("email", ""), problem=error)
        response = go_to(wanted)
        self.context.cookies.open_session(response, opened.secret)
        return response

    async def sign_out(self, request: Request) -> Response:
        """POST /sign-out."""
        who = await self.who(request)
        response = go_to("/sign-in")
        if who is not None:
            who.require_form(await read_form(request))
            await self.services.sign_in.sign_out(self.context.cookies.read(request, "session"))
        self.context.cookies.clear(response, "session")
        return response

    async def begin_company(self, request: Request) -> Response:
        """GET /sign-in/company."""
        if self.context.company is None:
            raise NotFound("this server has no company sign-in; use your password")
        secret = new_secret(self.context.randomness).secret
        response = go_to(await self.context.company.begin(secret))
        self.context.cookies.write(response, "company", secret, _BROWSER_SECONDS)
        self.context.cookies.write(response, "next", local_path(request.query_params.get("next")), _BROWSER_SECONDS)
        if "join" not in request.query_params:
            # An invitation that was only viewed is not accepted.
            self.context.cookies.clear(response, "join")
        return response

    async def finish_company(self, request: Request) -> Response:
        """GET /sign-in/callback."""
        cookies = self.context.cookies
        if self.context.company is None:
            raise NotFound("this server has no company sign-in; use your password")
        identity = await self.context.company.finish(cookies.read(request, "company"), request.query_params)
        invitation = cookies.read(request, "join")
        opened = await self.services.sign_in.sign_in_with(identity, invitation or None)
        response = go_to(local_path(cookies.read(request, "next")))
        for name in ("company", "next", "join"):
            cookies.clear(response, name)
        cookies.open_session(response, opened.secret)
        return response

    async def show_password(self, request: Request) -> Response:
        """GET /password."""
        return render("password.html", await self.signed_in(request))

    async def change_password(self, request: Request) -> Response:
        """POST /password."""
        who = await self.signed_in(request)
        form = await read_form(request)
        who.require_form(form)
        try:
            opened = await self.services.sign_in.change_password(who.person, form.get("old", ""), form.get("new", ""))
        except StokerError as error:
            return render("password.html", who, problem=error)
        response = go_to("/")
        self.context.cookies.open_session(response, opened.secret)
        return response

    def _form(self, wanted: str, *, email: str = "", problem: StokerError | None = None) -> Response:
        return render(
            "sign_in.html",
            next=wanted,
            email=email,
            problem=problem,
            company=self.context.company_name if self.context.company else "",
        )
