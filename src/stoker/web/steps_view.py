"""Which steps a build's page shows, as the page's address asks for them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from stoker.domain.step_filter import ALL_STEPS, StepFilter, StepKind, checked_filter
from stoker.web.seen_build import asked_number

if TYPE_CHECKING:
    from starlette.requests import Request


@dataclass(frozen=True, slots=True)
class StepsView:
    """The wanted steps after a number."""

    wanted: StepFilter = ALL_STEPS
    after: int = 0

    @property
    def query(self) -> str:
        """The query of an address that asks for this view; empty for the first of all steps."""
        kind = "" if self.wanted.kind is StepKind.ALL else self.wanted.kind.value
        fields = {"show": kind, "name": self.wanted.name, "after": str(self.after) if self.after else ""}
        query = urlencode({name: value for name, value in fields.items() if value})
        return f"?{query}" if query else ""

    def of(self, kind: str) -> str:
        """The query of the first steps of another kind."""
        return StepsView(replace(self.wanted, kind=StepKind(kind))).query

    def but(self, **changes: Any) -> str:  # noqa: ANN401
        """The query of the same steps with something else."""
        return replace(self, **changes).query


def asked_steps(request: Request) -> StepsView:
    """The view that an address asks for.

    Raises:
        InvalidInput: the number or the kind is wrong, or the text is too long.
    """
    query = request.query_params
    wanted = checked_filter(query.get("show", StepKind.ALL.value), query.get("name", "").strip())
    return StepsView(wanted, asked_number(request, "after", 0))
