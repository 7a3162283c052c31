"""Names of files that the depot CLI can't send to BuildKit.

BuildKit requests files from a client's session by headers. Since 0.34 it escapes all values of a header when one of
them is not ASCII, and says so in another header (`session/filesync`). The CLI's older client doesn't know that header,
and searches for the escaped names. The gateway can't see it: sessions are tunnelled.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from stoker.domain.steps import BuildWarning

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stoker.domain.steps import Step

# As BuildKit names the steps of a Dockerfile: `[stage 2/3] COPY a b`.
_COPY = re.compile(r"(?:\[[^\]]*\] )?(?:COPY|ADD) ")
_OF_DEPOT = "[depot] "
_SHORT = (
    "the depot CLI finds no files whose names aren't ASCII, nor others in the same COPY or ADD; build by "
    "`stoker build` or by buildx (`stoker buildx`)"
)


def unsendable_name(
    build_id: str, solve_ref: str, failed: Iterable[Step], reported: Iterable[Step]
) -> BuildWarning | None:
    """The warning about such a name, if a step failed because of one.

    Args:
        build_id: the build.
        solve_ref: its solve.
        failed: the steps that failed.
        reported: the steps that its client reported, by which the depot CLI is recognized.
    """
    if not any(step.name.startswith(_OF_DEPOT) for step in reported):
        return None
    if not any(_COPY.match(step.name) and not step.name.isascii() for step in failed):
        return None
    return BuildWarning(build_id, solve_ref, "", 1, _SHORT, (), "", "", ())
