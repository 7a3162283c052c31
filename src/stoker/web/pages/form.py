"""Pages of an organization with several forms, the answer to some of which is shown once, on the page itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Generic, TypeVar

from stoker.domain.errors import InvalidInput, StokerError
from stoker.web.owner import PlacedPages, form_of
from stoker.web.page import go_to, sign_in_first

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from stoker.web.owner import Reader

Created = TypeVar("Created")


class FormPages(PlacedPages, ABC, Generic[Created]):
    """One page with forms, whose ``action`` says what is to be done."""

    async def show(self, request: Request) -> Response:
        """GET: the page."""
        reader = await self.reader(request)
        return sign_in_first(request) if reader is None else await self.page(request, reader)

    async def change(self, request: Request) -> Response:
        """POST: what the form's ``action`` says. What can be told of an error is told on the page."""
        reader = await self.reader(request)
        if reader is None:
            return sign_in_first(request)
        form = await form_of(request, reader)
        try:
            created = await self.act(reader, form)
        except StokerError as error:
            return await self.page(request, reader, problem=error, form=form)
        if created is not None:
            return await self.page(request, reader, created=created)
        return go_to(self.address_after(reader, form))

    @abstractmethod
    async def act(self, reader: Reader, form: dict[str, str]) -> Created | None:
        """Do what a form asks for; what is to be shown once, if anything.

        Raises:
            StokerError: it can't be done.
        """

    @abstractmethod
    async def page(
        self,
        request: Request,
        reader: Reader,
        *,
        problem: StokerError | None = None,
        form: dict[str, str] | None = None,
        created: Created | None = None,
    ) -> Response:
        """The page: after a form that could not be followed, with what was typed; with what was just created."""

    @abstractmethod
    def address_after(self, reader: Reader, form: dict[str, str]) -> str:
        """Where a reader goes on after a form of which nothing is to be shown."""


def unknown_action() -> InvalidInput:
    """What is raised for a form whose ``action`` is none of the page's."""
    return InvalidInput("this form doesn't say what to do; open its page again")
