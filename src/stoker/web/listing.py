"""Parts of long lists, with the addresses of the parts before and after."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar
from urllib.parse import urlencode

from stoker.domain.pagination import checked_numbered_page, numbered_page

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request

    from stoker.domain.pagination import NumberedPageRequest, Page

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Part(Generic[Item]):
    """A part of a list. The addresses of the parts before and after are empty if there are none."""

    items: Sequence[Item]
    earlier: str
    later: str


def asked_part(request: Request, size: int, name: str = "after") -> NumberedPageRequest:
    """The part of a list that a page's address asks for.

    Raises:
        InvalidInput: the address is wrong.
    """
    return checked_numbered_page(size, request.query_params.get(name, ""))


def part_of(request: Request, page: Page[Item], asked: NumberedPageRequest, name: str = "after") -> Part[Item]:
    """A part of a list that was read from the database."""
    first = asked.after or 0
    earlier = _address(request, name, str(max(first - asked.size, 0))) if first else ""
    return Part(page.items, earlier, _address(request, name, page.next_token) if page.next_token else "")


def sliced(request: Request, items: Sequence[Item], size: int, name: str = "after") -> Part[Item]:
    """A part of a list that is in memory.

    Raises:
        InvalidInput: the address is wrong.
    """
    asked = asked_part(request, size, name)
    first = asked.after or 0
    return part_of(request, numbered_page(items[first : first + asked.size + 1], asked), asked, name)


def _address(request: Request, name: str, token: str) -> str:
    return f"{request.url.path}?{urlencode({**request.query_params, name: token})}"
