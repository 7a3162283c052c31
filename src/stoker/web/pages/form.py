"""The base of pages with several forms. Some of them show a result once, such as a new secret."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

from stoker.domain.errors import InvalidInput, StokerError
from stoker.web.owner import ContextPages, form_of
from stoker.web.page import go_to

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request
    from starlette.responses import Response

    from stoker.web.owner import Reader

Created = TypeVar("Created")


@dataclass(frozen=True, slots=True)
class FormState(Generic[Created]):
    """What a page shows of its forms: after an error that and the input, or once what was just created."""

    problem: StokerError | None = None
    form: Mapping[str, str] = field(default_factory=dict[str, str])
    created: Created | None = None


class FormPages(ContextPages, ABC, Generic[Created]):
    """One page with forms; the ``action`` of a form says what to do."""

    async def show(self, request: Request) -> Response:
        """GET: the page."""
        return await self.page(request, await self.reader(request), FormState())

    async def change(self, request: Request) -> Response:
        """POST: carry out the form's ``action``. Known errors are shown on the page."""
        reader = await self.reader(request)
        form = await form_of(request, reader)
        try:
            created = await self.act(reader, form)
        except StokerError as error:
            return await self.page(request, reader, FormState(problem=error, form=form))
        if created is not None:
            return await self.page(request, reader, FormState(created=created))
        return go_to(self.address_after(reader, form))

    @abstractmethod
    async def act(self, reader: Reader, form: dict[str, str]) -> Created | None:
        """Carry out a form. Returns what to show once, if anything.

        Raises:
            StokerError: it can't be done.
        """

    @abstractmethod
    async def page(self, request: Request, reader: Reader, state: FormState[Created]) -> Response:
        """The page in a state of its forms."""

    @abstractmethod
    def address_after(self, reader: Reader, form: dict[str, str]) -> str:
        """The address to redirect to after a form without a result to show."""


def unknown_action() -> InvalidInput:
    """The error for a form with an unknown ``action``."""
    return InvalidInput("this form doesn't say what to do; open its page again")
