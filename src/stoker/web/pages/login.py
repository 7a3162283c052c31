"""Approve or refuse the login of a command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stoker.web.forms import read_form
from stoker.web.page import Pages, render

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response


class LoginPages(Pages):
    """Logins of command lines, for the person who approves them."""

    async def show(self, request: Request) -> Response:
        """GET /logins/{code}."""
        who = await self.signed_in(request)
        login, state = await self.services.logins.look(request.path_params["code"])
        return render("login.html", who, login=login, state=state.value)

    async def decide(self, request: Request) -> Response:
        """POST /logins/{code}."""
        who = await self.signed_in(request)
        form = await read_form(request)
        who.require_form(form)
        code = request.path_params["code"]
        if form.get("decision") == "approve":
            await self.services.logins.approve(code, who.person)
        else:
            await self.services.logins.refuse(code, who.person)
        login, state = await self.services.logins.look(code)
        return render("login.html", who, login=login, state=state.value)
