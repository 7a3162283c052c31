"""Long lists on pages: a part of them, and where the parts beside it are."""

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
    """A part of a list; the addresses of those before and after it are empty where there are none."""

    items: Sequence[Item]
    earlier: str
    later: str


def asked_part(request: Request, size: int, name: str = "after") -> NumberedPageRequest:
    """The part of a list, of so many items, that a page's address asks for.

    Raises:
        InvalidInput: it asks for none that there can be.
    """
    return checked_numbered_page(size, request.query_params.get(name, ""))


def part_of(request: Request, page: Page[Item], asked: NumberedPageRequest, name: str = "after") -> Part[Item]:
    """A page that was read from the database as a part of a list."""
    first = asked.after or 0
    earlier = _address(request, name, str(max(first - asked.size, 0))) if first else ""
    return Part(page.items, earlier, _address(request, name, page.next_token) if page.next_token else "")


def sliced(request: Request, items: Sequence[Item], size: int, name: str = "after") -> Part[Item]:
    """The part of a list that is all in memory.

    Raises:
        InvalidInput: the address asks for none that there can be.
    """
    asked = asked_part(request, size, name)
    first = asked.after or 0
    return part_of(request, numbered_page(items[first : first + asked.size + 1], asked), asked, name)


def _address(request: Request, name: str, token: str) -> str:
    return f"{request.url.path}?{urlencode({**request.query_params, name: token})}"
