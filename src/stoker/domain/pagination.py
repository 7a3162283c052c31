"""Lists in pages. A page's token is the id of the last item before it, so that new items don't shift the pages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from stoker.domain.errors import InvalidInput
from stoker.domain.ids import checked_id

if TYPE_CHECKING:
    from collections.abc import Sequence

Item = TypeVar("Item")

DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 500


@dataclass(frozen=True, slots=True)
class PageRequest:
    """A request for ``size`` items after the one with the id ``after``."""

    size: int
    after: str | None


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """A page of items, and the token of the next one; None when this was the last."""

    items: tuple[Item, ...]
    next_token: str | None


def checked_page(size: int, token: str) -> PageRequest:
    """The requested page; 0 and "" stand for the default size and the first page.

    Raises:
        InvalidInput: the size is out of bounds, or the token is not valid.
    """
    if not 0 <= size <= MAX_PAGE_SIZE:
        raise InvalidInput(f"page_size is {size}; give a value between 1 and {MAX_PAGE_SIZE}, or leave it out")
    return PageRequest(size or DEFAULT_PAGE_SIZE, checked_id(token, "page_token") if token else None)


@dataclass(frozen=True, slots=True)
class NumberedPageRequest:
    """A request for ``size`` numbered items after a number; None for the first ones."""

    size: int
    after: int | None


def numbered_page(found: Sequence[Item], asked: NumberedPageRequest) -> Page[Item]:
    """A page of numbered items from ``found``, which has one more than requested if there are more."""
    next_token = str((asked.after or 0) + asked.size) if len(found) > asked.size else None
    return Page(tuple(found[: asked.size]), next_token)


def checked_numbered_page(size: int, token: str) -> NumberedPageRequest:
    """The requested page of numbered items; 0 and "" stand for the default size and the first page.

    Raises:
        InvalidInput: the size is out of bounds, or the token is not valid.
    """
    if not 0 <= size <= MAX_PAGE_SIZE:
        raise InvalidInput(f"page_size is {size}; give a value between 1 and {MAX_PAGE_SIZE}, or leave it out")
    if not token:
        return NumberedPageRequest(size or DEFAULT_PAGE_SIZE, None)
    if not (token.isascii() and token.isdecimal() and len(token) <= 9):
        raise InvalidInput("page_token is none of this list's; take it from the page before, or leave it out")
    return NumberedPageRequest(size or DEFAULT_PAGE_SIZE, int(token))
