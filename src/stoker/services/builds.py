"""Builds: create, look up, finish."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from stoker.auth.tokens import new_token
from stoker.domain.build_origins import NO_ORIGIN, merged
from stoker.domain.build_titles import title_of
from stoker.domain.builds import ALL_BUILDS, Build, BuildFilter, BuildResult, BuildStatus, require_running
from stoker.domain.errors import InvalidInput, NotFound, PermissionDenied, ResourceExhausted, TooBusy
from stoker.domain.overviews import check_filter
from stoker.domain.pagination import Page
from stoker.domain.principals import CredentialKind
from stoker.domain.rates import TokenBuckets
from stoker.services.audit_log import actor_of
from stoker.services.build_completion import end_build, wake_ended
from stoker.services.lookup import MemberBuild, ReadableBuild, require_build, require_project
from stoker.services.wakeups import LEASES, builds_topics
from stoker.store import build_origins as origin_store
from stoker.store import builds as build_store
from stoker.store import tokens as token_store
from stoker.store.locks import Lock
from stoker.store.tokens import StoredToken

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stoker.domain.build_origins import BuildOrigin
    from stoker.domain.pagination import PageRequest
    from stoker.domain.principals import Principal
    from stoker.services.core import Core
    from stoker.services.prewarming import PrewarmService

_REMEMBERED_PROJECTS = 100_000

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CreatedBuild:
    """A new build, and its token, which is shown only once."""

    build: Build
    token: str

    def __repr__(self) -> str:
        """Without the token."""
        return f"CreatedBuild(build={self.build!r})"


class BuildService:
    """Use cases of builds."""

    def __init__(self, core: Core, prewarming: PrewarmService) -> None:
        self._core = core
        self._prewarming = prewarming
        self._rates = TokenBuckets(core.limits.builds.rate, _REMEMBERED_PROJECTS)

    async def create(self, principal: Principal, project_id: str, sent: BuildOrigin = NO_ORIGIN) -> CreatedBuild:
        """Create a build in a project.

        Args:
            principal: the caller. What its token claims of the origin counts more than what is sent.
            project_id: of the project; empty for the token's own one.
            sent: what the request says of the build's origin.

        Raises:
            NotFound: there is no such project, or it isn't the caller's.
            ResourceExhausted: the server's disks are full, or too many builds of the project have not ended.
            TooBusy: the project creates too many builds a second.
            Unavailable: the server is being stopped.
        """
        self._core.admission.require_open()
        wanted = project_id or principal.project_id
        if not wanted:
            raise InvalidInput("project_id is empty; give the id of a project, or use a project token")
        now = self._core.now()
        token = new_token(CredentialKind.BUILD, self._core.randomness)
        origin = merged(principal.origin or NO_ORIGIN, sent)
        async with self._core.database.write() as tx:
            await tx.lock(Lock.PROJECT, wanted)
            project = await require_project(tx, principal, wanted)
            build = Build(
                id=self._core.new_id(),
                organization_id=project.organization_id,
                project_id=project.id,
                status=BuildStatus.RUNNING,
                error=None,
                created_at=now,
                started_at=None,
                finished_at=None,
                untrusted=principal.is_untrusted_in(project.id),
                begun_by=await actor_of(tx, principal),
                title=title_of(origin),
            )
            self._core.admission.require_open_to(build, project.region_id)
            wait = self._rates.take(project.id, self._core.monotonic())
            if wait > 0:
                per_second = self._core.limits.builds.rate.per_second
                raise TooBusy(
                    f"the project creates more than {per_second:g} builds a second, which is the most for long; "
                    f"try again in {wait:.1f} s",
                    wait,
                )
            most = self._core.limits.builds.max_open_builds_per_project
            if await build_store.count_open_builds(tx, project.id, most) >= most:
                raise ResourceExhausted(
                    f"the project has {most} builds that have not ended, which is the most; end some of them first"
                )
            await build_store.add_build(tx, build)
            if origin != NO_ORIGIN:
                await origin_store.save_origin(tx, build.id, origin, build.title)
            stored = StoredToken(
                id=self._core.new_id(),
                kind=CredentialKind.BUILD,
                organization_id=project.organization_id,
                project_id=project.id,
                build_id=build.id,
                description="",
                created_at=now,
                expires_at=now + self._core.limits.builds.build_lifetime,
                untrusted=build.untrusted,
            )
            await token_store.add_token(tx, stored, token.secret_hash)
        self._core.wakeups.wake(LEASES, *builds_topics(build.organization_id, build.project_id))
        self._prewarming.expect(build)
        about = {"build_id": build.id, "project_id": project.id}
        _log.info("build %s of project %s was created", build.id, project.id, extra=about)
        return CreatedBuild(build, token.secret)

    async def create_or_ask(self, principal: Principal, project_id: str, sent: BuildOrigin = NO_ORIGIN) -> CreatedBuild:
        """Like `create`, for the depot CLI: any project that can't be used is NotFound, upon which it asks for one."""
        try:
            return await self.create(principal, project_id, sent)
        except InvalidInput as error:
            raise NotFound(error.message) from error

    async def get(self, principal: Principal, build_id: str) -> MemberBuild:
        """One build.

        Raises:
            NotFound: there is none, or it isn't the caller's.
        """
        async with self._core.database.read() as tx:
            return _as_seen_by(principal, await require_build(tx, principal, build_id))

    async def list(
        self, principal: Principal, project_id: str, page: PageRequest, wanted: BuildFilter = ALL_BUILDS
    ) -> Page[MemberBuild]:
        """A page of a project's builds that match a filter, the newest first.

        Raises:
            InvalidInput: a text of the filter is too long.
            PermissionDenied: the caller may not look for people.
            NotFound: there is no such project, or it isn't the caller's.
        """
        check_filter(wanted)
        sees_people = _sees_people(principal)
        if wanted.begun_by and not sees_people:
            raise PermissionDenied("only people may look for who began builds; log in with `stoker login`")
        async with self._core.database.read() as tx:
            project = await require_project(tx, principal, project_id)
            found = await build_store.list_builds(tx, project.id, page, wanted, sees_people=sees_people)
        allowed = (MemberBuild(ReadableBuild(build)) for build in found.items)
        return Page(tuple(_as_seen_by(principal, build) for build in allowed), found.next_token)

    async def origins(self, principal: Principal, builds: Sequence[MemberBuild]) -> dict[str, BuildOrigin]:
        """Where builds come from, by their ids, as the caller may see it."""
        async with self._core.database.read() as tx:
            found = await origin_store.origins_of(tx, [build.id for build in builds])
        if not _sees_people(principal):
            found = {build_id: origin.without_actor for build_id, origin in found.items()}
        return {build.id: found.get(build.id, NO_ORIGIN) for build in builds}

    async def finish(self, principal: Principal, build_id: str, result: BuildResult) -> None:
        """Finish a build: its endpoints are released and closed.

        Raises:
            FailedPrecondition: it has ended already.
            NotFound: there is none, or it isn't the caller's.
        """
        async with self._core.database.write(durable=True) as tx:
            build = await require_build(tx, principal, build_id)
            require_running(build)
            if not await end_build(self._core, tx, build.id, result):
                require_running(await require_build(tx, principal, build_id))
        wake_ended(self._core, [build_id])


def _sees_people(principal: Principal) -> bool:
    """Whether a caller may see the people of an organization, as only its own people may."""
    return principal.kind is CredentialKind.USER


def _as_seen_by(principal: Principal, build: MemberBuild) -> MemberBuild:
    return build if _sees_people(principal) else replace(build, begun_by=None)
