"""`depot.cli.v1beta1.LoginService`: `depot login` and `stoker login`."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from stoker._gen.depot.cli.v1beta1 import login_pb as pb
from stoker._gen.depot.cli.v1beta1.login_connect import LoginService as Logins
from stoker.domain.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from typing import Any

    from connectrpc.request import RequestContext

    from stoker.services.logins import LoginService


class LoginHandlers(Logins):
    """Logins, open to anyone: what they lead to is decided by the person who approves."""

    def __init__(self, logins: LoginService, public_url: str) -> None:
        self._logins = logins
        self._public_url = public_url

    async def start_login(
        self, request: pb.StartLoginRequest, ctx: RequestContext[Any, Any], /
    ) -> pb.StartLoginResponse:
        """Start a login, and say where it is approved."""
        started = await self._logins.start(ctx.request_headers.get("user-agent", ""))
        url = f"{self._public_url}/logins/{quote(started.code)}"
        return pb.StartLoginResponse(id=started.id, approve_url=url)

    async def finish_login(
        self, request: pb.FinishLoginRequest, ctx: RequestContext[Any, Any], /
    ) -> AsyncIterator[pb.FinishLoginResponse]:
        """Stream the token, once, as soon as somebody approves."""
        if not request.id:
            raise InvalidInput("id is empty; start a login first")
        yield pb.FinishLoginResponse(token=await self._logins.finish(request.id))
