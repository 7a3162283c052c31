"""A person's account: the command lines that are logged in as them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stoker.web.forms import read_form
from stoker.web.listing import sliced
from stoker.web.page import Pages, go_to, render

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response


class AccountPages(Pages):
    """The signed-in person's own pages."""

    async def show(self, request: Request) -> Response:
        """GET /account."""
        who = await self.signed_in(request)
        tokens = await self.services.logins.logged_in(who.person)
        return render(
            "account.html", who, tokens=sliced(request, tokens, self.context.page_sizes.rows), now=self.context.now()
        )

    async def log_out(self, request: Request) -> Response:
        """POST /account: log one command line out."""
        who = await self.signed_in(request)
        form = await read_form(request)
        who.require_form(form)
        await self.services.logins.log_out(who.person, form.get("token", ""))
        return go_to("/account")
