"""Builds that are shown to whoever has their address.

The address holds an id that nobody can guess. It is meant to be passed on, so it is no credential; but it opens a build
to strangers, so it is never logged.
"""

from __future__ import annotations

from base64 import b32encode
from typing import TYPE_CHECKING

from stoker.domain.audit import Action
from stoker.services.audit_log import build_party, record
from stoker.services.lookup import ReadableBuild, require_build
from stoker.store import builds as build_store
from stoker.store import shares as share_store
from stoker.store.locks import Lock

if TYPE_CHECKING:
    from stoker.domain.principals import Principal
    from stoker.services.core import Core

_SHARE_ID_BYTES = 20


class SharingService:
    """The use cases around shared builds."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def share(self, principal: Principal, build_id: str) -> str:
        """Share a build; the id of its public page, which stays the same for as long as the build is shared.

        Raises:
            NotFound: there is no such build, or it isn't the caller's.
        """
        async with self._core.database.write(durable=True) as tx:
            build = await require_build(tx, principal, build_id)
            await tx.lock(Lock.PROJECT, build.project_id)
            share_id = await share_store.find_share(tx, build.id)
            if share_id is None:
                noise = self._core.randomness.token_bytes(_SHARE_ID_BYTES)
                share_id = b32encode(noise).decode().lower()
                await share_store.add_share(tx, build.id, share_id, self._core.now())
                target = build_party(build)
                await record(self._core, tx, principal, Action.BUILD_SHARE, target, build.organization_id)
        return share_id

    async def share_of(self, principal: Principal, build_id: str) -> str | None:
        """The id of a build's public page; None when it isn't shared.

        Raises:
            NotFound: there is no such build, or it isn't the caller's.
        """
        async with self._core.database.read() as tx:
            build = await require_build(tx, principal, build_id)
            return await share_store.find_share(tx, build.id)

    async def stop_sharing(self, principal: Principal, build_id: str) -> None:
        """Take a build's public page away. A build that isn't shared is a success.

        Raises:
            NotFound: there is no such build, or it isn't the caller's.
        """
        async with self._core.database.write(durable=True) as tx:
            build = await require_build(tx, principal, build_id)
            await tx.lock(Lock.PROJECT, build.project_id)
            if await share_store.find_share(tx, build.id) is not None:
                await share_store.remove_share(tx, build.id)
                target = build_party(build)
                await record(self._core, tx, principal, Action.BUILD_STOP_SHARING, target, build.organization_id)

    async def shared_build(self, share_id: str) -> ReadableBuild | None:
        """The build that is shared under an id, for anyone; None when there is none or its project was deleted."""
        async with self._core.database.read() as tx:
            build_id = await share_store.find_shared_build_id(tx, share_id)
            build = None if build_id is None else await build_store.find_build(tx, build_id)
        return None if build is None else ReadableBuild(build)
