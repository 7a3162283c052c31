"""Compares a build with earlier ones of the same thing: the last good one, and how long they took."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stoker.domain.build_changes import changed_dockerfiles, changed_images
from stoker.domain.steps import RecordState
from stoker.domain.usual_durations import MOST_COMPARED, usual_duration
from stoker.services.lookup import require_build
from stoker.store import build_notes as note_store
from stoker.store import build_origins as origin_store
from stoker.store import build_work as work_store

if TYPE_CHECKING:
    from stoker.domain.build_analysis import BuildAnalysis
    from stoker.domain.build_changes import DockerfileChange, ImageChange
    from stoker.domain.build_origins import BuildOrigin
    from stoker.domain.principals import Principal
    from stoker.domain.usual_durations import UsualDuration
    from stoker.services.analysis import AnalysisService
    from stoker.services.core import Core
    from stoker.services.lookup import MemberBuild


@dataclass(frozen=True, slots=True)
class LastGoodBuild:
    """The last good build before another one, and what changed since. Only what both records have is compared."""

    build: MemberBuild
    origin: BuildOrigin
    images: tuple[ImageChange, ...]
    dockerfiles: tuple[DockerfileChange, ...]


class ComparisonService:
    """Use cases of comparing a build with earlier ones."""

    def __init__(self, core: Core, analysis: AnalysisService) -> None:
        self._core = core
        self._analysis = analysis

    async def last_good_build(
        self, principal: Principal, build: MemberBuild, analysis: BuildAnalysis
    ) -> LastGoodBuild | None:
        """The last good build before this one, whose analysis is given; None if there is none.

        Raises:
            NotFound: it isn't the caller's.
        """
        async with self._core.database.read() as tx:
            found = await work_store.last_good_build(tx, build.project_id, build.id)
            if found is None:
                return None
            good = await require_build(tx, principal, found)
            origin = await origin_store.origin_of(tx, good.id)
            before = await note_store.dockerfiles_of(tx, good.id)
            now = await note_store.dockerfiles_of(tx, build.id)
        then = await self._analysis.analysis_of(good, RecordState.COMPLETE)
        # A build that failed early may not have got as far as its base images.
        used = {image.name for image in analysis.images}
        images = changed_images([one for one in then.images if one.name in used], analysis.images)
        return LastGoodBuild(good, origin, images, await asyncio.to_thread(changed_dockerfiles, before, now))

    async def usual_duration(self, build: MemberBuild) -> UsualDuration | None:
        """How long good builds of the same thing took before this one; None if too few are known."""
        async with self._core.database.read() as tx:
            return usual_duration(await work_store.durations_before(tx, build.project_id, build.id, MOST_COMPARED))
