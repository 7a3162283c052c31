"""Reads forms, up to a size."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from stoker.domain.errors import InvalidInput

if TYPE_CHECKING:
    from starlette.requests import Request

_MAX_BYTES = 16 * 1024
_MAX_FIELDS = 32


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a form (application/x-www-form-urlencoded); of a repeated one, the last.

    Raises:
        InvalidInput: it is too large, or not a form.
    """
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        raise InvalidInput("that is not a form of this server's pages")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_BYTES:
            raise InvalidInput("the form is too large")
    try:
        return dict(
            parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=bool(body), max_num_fields=_MAX_FIELDS)
        )
    except ValueError as error:
        raise InvalidInput("the form can't be read") from error


def local_path(wanted: str | None) -> str:
    """A path on this server, or the start page for an address that could lead to another server."""
    if wanted is None or not wanted.startswith("/") or wanted.startswith(("//", "/\\")) or len(wanted) > 500:
        return "/"
    return wanted if wanted.isprintable() and "\\" not in wanted else "/"
