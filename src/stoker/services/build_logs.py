"""A build's steps, their logs, and where it failed, for those who read them outside of its page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stoker.domain.build_failure import BuildFailure, dockerfile_line, failed_step
from stoker.domain.builds import BuildStatus
from stoker.domain.pagination import Page
from stoker.services.lookup import require_build

if TYPE_CHECKING:
    from stoker.domain.pagination import NumberedPageRequest
    from stoker.domain.principals import Principal
    from stoker.domain.steps import LogLine, Step
    from stoker.services.core import Core
    from stoker.services.lookup import MemberBuild
    from stoker.services.records import RecordService

_FAILURE_LINES = 20


class BuildLogService:
    """The use cases of reading a build's steps and logs by their numbers, which are also on its page."""

    def __init__(self, core: Core, records: RecordService) -> None:
        self._core = core
        self._records = records

    async def steps(self, principal: Principal, build_id: str, page: NumberedPageRequest) -> tuple[Page[Step], bool]:
        """A page of a build's steps, in the order in which they began, and whether more may come of the build.

        Raises:
            NotFound: there is no such build, or it isn't the caller's.
        """
        build = await self._build(principal, build_id)
        # Before the steps, so that none is missed after the last time that more may come.
        may_grow = await self._records.may_grow(build)
        steps, has_more = await self._records.steps_of(build, page.size, page.after or 0)
        return Page(tuple(steps), str(steps[-1].number) if has_more else None), may_grow

    async def lines(
        self, principal: Principal, build_id: str, step_number: int, page: NumberedPageRequest
    ) -> Page[LogLine]:
        """A page of the log of a build's step. Its token is the number of the last line, from 1.

        Raises:
            NotFound: there is no such step or build, or it isn't the caller's.
        """
        build = await self._build(principal, build_id)
        step = await self._records.step_of(build, step_number)
        first = page.after or 0
        found = await self._records.lines_of(build, step.number, first, page.size + 1)
        has_more = len(found) > page.size
        return Page(tuple(found[: page.size]), str(first + page.size) if has_more else None)

    async def failure(self, principal: Principal, build_id: str) -> BuildFailure | None:
        """The step that made a build fail, and the end of its log. None if it didn't fail, or not by a step.

        Raises:
            NotFound: there is no such build, or it isn't the caller's.
        """
        build = await self._build(principal, build_id)
        if build.status is not BuildStatus.FAILED:
            return None
        step = failed_step(await self._records.failed_steps_of(build))
        if step is None:
            return None
        place = dockerfile_line(step, await self._records.dockerfiles_of(build))
        first = max(step.log_lines - _FAILURE_LINES, 0)
        return BuildFailure(step, place, await self._records.lines_of(build, step.number, first, _FAILURE_LINES))

    async def _build(self, principal: Principal, build_id: str) -> MemberBuild:
        async with self._core.database.read() as tx:
            return await require_build(tx, principal, build_id)
