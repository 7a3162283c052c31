"""What becomes of a server's database when it is restored from a backup."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stoker.services.bootstrap import SERVER_ID
from stoker.services.build_completion import fail_builds
from stoker.store import builds as build_store
from stoker.store import duties as duty_store
from stoker.store import facts as fact_store
from stoker.store import machines as machine_store
from stoker.store import volumes as volume_store
from stoker.store.locks import Lock

if TYPE_CHECKING:
    from stoker.services.core import Core

_REASON = "the server was restored from a backup, which was made while the build ran; build again"


class RestoredService:
    """Use cases of a database that comes from a backup."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def settle(self) -> int:
        """Fail the builds that ran, and drop machines, caches and the server's id. Returns how many builds there were.

        All of these are on the host where the backup was made, and may be in use there. The restored server gets an id
        of its own, so that it takes nothing of that one for its own, even on the same host.
        """
        async with self._core.database.write(durable=True) as tx:
            await tx.lock(Lock.QUEUE)
            running = [build.id for build in await build_store.running_builds(tx)]
            ended = await fail_builds(self._core, tx, running, _REASON)
            await machine_store.reset_all_machines(tx)
            await volume_store.mark_all_volumes_deleted(tx, self._core.now())
            await duty_store.release_all_duties(tx)
            await fact_store.remove_fact(tx, SERVER_ID)
        return len(ended)
