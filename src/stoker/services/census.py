"""Counts of everything on the server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stoker.store import census as census_store
from stoker.store import webhooks as webhook_store

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stoker.domain.machines import MachineState
    from stoker.services.core import Core


@dataclass(frozen=True, slots=True)
class Census:
    """Counts of the whole server.

    ``queue_length`` counts endpoints in the queue, ``awaited_machines`` those that wait for their machine.
    """

    running_builds: int
    queue_length: int
    awaited_machines: int
    machines: Mapping[MachineState, int]
    caches: int
    cache_bytes: int
    waiting_deliveries: int


class CensusService:
    """The use case of counting."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def take(self) -> Census:
        """Count now."""
        async with self._core.database.read() as tx:
            caches, cache_bytes = await census_store.count_caches(tx)
            return Census(
                running_builds=await census_store.count_running_builds(tx),
                queue_length=await census_store.count_queue(tx),
                awaited_machines=await census_store.count_waiting_leases(tx),
                machines=await census_store.count_machines(tx),
                caches=caches,
                cache_bytes=cache_bytes,
                waiting_deliveries=await webhook_store.count_waiting(tx),
            )
