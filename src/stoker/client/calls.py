"""Calls of every service of the API, as one caller."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from connectrpc.client import ConnectClient

from stoker.client.errors import plain_errors
from stoker.client.transport import open_transport

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from connectrpc.request import RequestContext

Service = TypeVar("Service", bound=ConnectClient)
Request = TypeVar("Request")
Answer = TypeVar("Answer")

_CALL_TIMEOUT_MS = 30_000


@dataclass(frozen=True, slots=True)
class Caller:
    """The API's address, the token, and the organization, if one is named."""

    url: str
    token: str = field(repr=False)
    organization_id: str | None = None


class Calls:
    """Creates clients of services for a caller. Their methods raise ApiError."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._http = open_transport(caller.url)

    def of(self, service: type[Service]) -> Service:
        """A client of one service."""
        return service(
            self._caller.url,
            http_client=self._http,
            timeout_ms=_CALL_TIMEOUT_MS,
            interceptors=[_AsCaller(self._caller)],
        )


class _AsCaller:
    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def intercept_unary(
        self,
        call_next: Callable[[Request, RequestContext[Any, Any]], Awaitable[Answer]],
        request: Request,
        ctx: RequestContext[Any, Any],
        /,
    ) -> Answer:
        ctx.request_headers["authorization"] = f"Bearer {self._caller.token}"
        if self._caller.organization_id is not None:
            ctx.request_headers["x-depot-org"] = self._caller.organization_id
        with plain_errors(self._caller.url):
            return await call_next(request, ctx)
