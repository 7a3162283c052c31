"""Analysis of builds' records: why a build took that long, and how it compares with others of its project."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import TYPE_CHECKING

from stoker.domain.build_analysis import BuildAnalysis, analyse
from stoker.domain.cache_misses import ComparedBuild
from stoker.domain.steps import RecordState
from stoker.services.lookup import require_project
from stoker.store import build_work as work_store
from stoker.store import steps as step_store

if TYPE_CHECKING:
    from datetime import datetime

    from stoker.domain.build_work import BuildTrend
    from stoker.domain.builds import Build
    from stoker.domain.principals import Principal
    from stoker.domain.steps import Step
    from stoker.services.core import Core
    from stoker.services.lookup import ReadableBuild
    from stoker.store.database import Transaction

_REMEMBERED = 32
_FRESH_SECONDS = 1.0
_MOST_PLATFORMS = 16


class AnalysisService:
    """Use cases of analysing builds."""

    def __init__(self, core: Core, most_steps: int) -> None:
        """Look at builds of ``core``.

        Args:
            core: what every service needs.
            most_steps: the most steps of a build to analyse.
        """
        self._core = core
        self._most_steps = most_steps
        # However many follow a build, its steps are looked at once a second.
        self._found: OrderedDict[str, tuple[BuildAnalysis, float | None]] = OrderedDict()
        self._analysing = asyncio.Lock()

    async def analysis_of(self, build: ReadableBuild, state: RecordState) -> BuildAnalysis:
        """What the steps of a build say together.

        Args:
            build: what the reader may see.
            state: of its record; what is said of a record that isn't at its end may be a second old.
        """
        known = self._known(build)
        if known is not None:
            return known
        async with self._analysing:
            # Whoever waited for its turn beside this one may have looked already.
            known = self._known(build)
            if known is not None:
                return known
            is_over = build.status.finished and state is not RecordState.FOLLOWING
            found = await self._analyse(build, None if is_over else self._core.now())
            self._found[build.id] = (found, None if is_over else self._core.monotonic() + _FRESH_SECONDS)
            self._found.move_to_end(build.id)
            while len(self._found) > _REMEMBERED:
                self._found.popitem(last=False)
            return found

    async def trends(self, principal: Principal, project_id: str, size: int) -> list[BuildTrend]:
        """The last builds of a project that ended, the oldest first.

        Raises:
            NotFound: there is no such project, or it isn't the caller's.
        """
        async with self._core.database.read() as tx:
            project = await require_project(tx, principal, project_id)
            return await work_store.trends_of(tx, project.id, size)

    def _known(self, build: Build) -> BuildAnalysis | None:
        found, until = self._found.get(build.id, (None, None))
        return found if until is None or self._core.monotonic() < until else None

    async def _analyse(self, build: Build, now: datetime | None) -> BuildAnalysis:
        async with self._core.database.read() as tx:
            steps = await step_store.all_steps(tx, build.id, self._most_steps)
            platforms = {step.platform for step in steps or ()}
            if steps is None or len(platforms) > _MOST_PLATFORMS:
                return BuildAnalysis(is_whole=False)
            before: dict[str, ComparedBuild] = {}
            for platform in platforms:
                compared = await self._build_before(tx, build, platform, steps)
                if compared is not None:
                    before[platform] = compared
        return await asyncio.to_thread(analyse, steps, before, now)

    async def _build_before(
        self, tx: Transaction, build: Build, platform: str, steps: list[Step]
    ) -> ComparedBuild | None:
        before = await work_store.build_before(tx, build.project_id, build.id, platform)
        if before is None:
            return None
        refs = {step.solve_ref for step in steps if step.platform == platform}
        found = await step_store.all_steps(tx, before, self._most_steps, platform)
        if found is None:
            return None
        ours = await work_store.caches_of(tx, refs)
        theirs = await work_store.caches_of(tx, {step.solve_ref for step in found})
        # An untrusted build has a copy of the project's cache, which is another volume.
        is_other = bool(ours and theirs) and ours.isdisjoint(theirs) and not build.untrusted
        return ComparedBuild(before, found, is_other)
