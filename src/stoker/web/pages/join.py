"""Accept an invitation.

The link's secret is in its fragment, which browsers don't send to any server. A script copies it into the form, or the
reader does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stoker.domain.errors import StokerError
from stoker.domain.people import MIN_PASSWORD_LENGTH
from stoker.web.forms import read_form
from stoker.web.page import Pages, go_to, render

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from stoker.web.sessions import SignedIn

_JOIN_SECONDS = 30 * 60


class JoinPages(Pages):
    """Pages for people who were invited."""

    async def show(self, request: Request) -> Response:
        """GET /join."""
        return render("join_code.html", await self.who(request))

    async def look(self, request: Request) -> Response:
        """POST /join: show the invitation of a code."""
        return await self._offer(await self.who(request), await read_form(request))

    async def accept(self, request: Request) -> Response:
        """POST /join/accept."""
        who = await self.who(request)
        form = await read_form(request)
        code = form.get("code", "")
        if who is not None:
            who.require_form(form)
            await self.services.sign_in.join_as(code, who.person)
            return go_to("/")
        try:
            opened = await self.services.sign_in.join(
                code, form.get("email", ""), form.get("name", ""), form.get("password", "")
            )
        except StokerError as error:
            return await self._offer(None, form, problem=error)
        response = go_to("/")
        self.context.cookies.open_session(response, opened.secret)
        return response

    async def _offer(
        self, who: SignedIn | None, form: dict[str, str], *, problem: StokerError | None = None
    ) -> Response:
        code = form.get("code", "").strip()
        offered = await self.services.sign_in.offer(code)
        response = render(
            "join.html",
            who,
            code=code,
            offered=offered,
            name=form.get("name", ""),
            email=offered.invitation.email or form.get("email", ""),
            problem=problem,
            company=self.context.company_name if self.context.company else "",
            min_password=MIN_PASSWORD_LENGTH,
        )
        self.context.cookies.write(response, "join", code, _JOIN_SECONDS)
        return response
