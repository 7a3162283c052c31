"""Holds duties: takes those that are free, renews them, and releases them."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from stoker.domain.duties import SILENT_SECONDS, Duty, Sighting, is_held, may_take, see
from stoker.store import duties as duty_store
from stoker.store.fencing import Claim

if TYPE_CHECKING:
    from stoker.services.core import Core

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Tenure:
    claim: str
    renewed_at: float


class DutyService:
    """The duties of one process of a server."""

    def __init__(self, core: Core, holder: str, *, is_shared: bool) -> None:
        """Hold duties in the name of ``holder``, a server; ``is_shared`` says whether others work on its database."""
        self._core = core
        self._holder = holder
        self._is_shared = is_shared
        self._at_start = True
        self._tenures: dict[Duty, _Tenure] = {}
        self._seen: dict[Duty, Sighting] = {}

    def held(self) -> dict[Duty, Claim]:
        """What this process holds now, with its claims."""
        moment = self._core.monotonic()
        return {
            duty: Claim(duty, tenure.claim)
            for duty, tenure in self._tenures.items()
            if is_held(tenure.renewed_at, moment, is_shared=self._is_shared)
        }

    async def begin(self) -> None:
        """Take all duties that are free, or held by a process that this one replaces."""
        self._at_start = True
        await self.renew()

    async def renew(self) -> None:
        """Renew what is held, and take what its holder has released or has not renewed for a while."""
        # Before anything is written, so that this process counts at least as long as others do.
        moment = self._core.monotonic()
        until = self._core.now() + timedelta(seconds=SILENT_SECONDS)
        tenures: dict[Duty, _Tenure] = {}
        seen: dict[Duty, Sighting] = {}
        async with self._core.database.write() as tx:
            if self._at_start:
                await duty_store.add_duties(tx)
            for state in await duty_store.list_duties(tx):
                before = self._tenures.get(state.duty)
                if before is not None and await duty_store.renew_duty(tx, state.duty, before.claim, until):
                    tenures[state.duty] = _Tenure(before.claim, moment)
                    continue
                sighting = see(self._seen.get(state.duty), state, moment)
                claim = self._core.new_id()
                if self._may_take(sighting, moment) and await duty_store.take_duty(
                    tx, state, self._holder, claim, until
                ):
                    tenures[state.duty] = _Tenure(claim, moment)
                else:
                    seen[state.duty] = sighting
        self._report(tenures, seen)
        self._tenures, self._seen, self._at_start = tenures, seen, False

    async def release(self) -> None:
        """Release what is held, so that others take it at once. Its work has ended."""
        tenures, self._tenures = self._tenures, {}
        if tenures:
            async with self._core.database.write() as tx:
                for duty, tenure in tenures.items():
                    await duty_store.release_duty(tx, duty, tenure.claim)

    def _may_take(self, seen: Sighting, moment: float) -> bool:
        return may_take(seen, self._holder, moment, is_shared=self._is_shared, at_start=self._at_start)

    def _report(self, tenures: dict[Duty, _Tenure], seen: dict[Duty, Sighting]) -> None:
        for duty, sighting in seen.items():
            if duty in self._tenures:
                _log.warning("the duty %s is now held by server %s", duty, sighting.state.holder)
        for duty, tenure in tenures.items():
            before = self._tenures.get(duty)
            if before is None or before.claim != tenure.claim:
                _log.info("this process holds the duty %s", duty)
