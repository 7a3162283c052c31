"""An organization's machines and volumes, with their state and usage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stoker.domain.machines import CRASHES_IN_A_ROW, Isolation, MachineState
from stoker.web.charts import length
from stoker.web.events import MADE_FOR_ONE, event_stream, machines_of
from stoker.web.listing import asked_part, part_of
from stoker.web.owner import ContextPages
from stoker.web.page import render

if TYPE_CHECKING:
    from datetime import datetime

    from starlette.requests import Request
    from starlette.responses import Response

    from stoker.domain.machines import MachineFacts
    from stoker.web.live import Live, Subject
    from stoker.web.owner import Reader
    from stoker.web.page import WebContext

_LIST = "stoker.v1.MachineService/ListMachines"
_TAGS = {
    MachineState.READY: "succeeded",
    MachineState.STARTING: "running",
    MachineState.STOPPING: "running",
    MachineState.STOPPED: "",
}


_ISOLATIONS = {
    Isolation.USER_NAMESPACE: "in a user namespace",
    Isolation.HOST_ROOT: "as the host's root",
    Isolation.HOST_NETWORK: "on the host's network: build nothing here that you don't trust",
}


@dataclass(frozen=True, slots=True)
class State:
    """A machine's state in words, with its class in CSS."""

    words: str
    tag: str


class MachinePages(ContextPages):
    """Machines, for all members."""

    def __init__(self, context: WebContext, live: Live) -> None:
        super().__init__(context)
        self._live = live

    async def show(self, request: Request) -> Response:
        """GET /organizations/{organization_id}/machines."""
        reader = await self.reader(request)
        asked = asked_part(request, self.context.page_sizes.rows)
        caller, counting = reader.calling(_LIST), reader.calling("depot.core.v1.UsageService/GetUsage")
        found = await self._live.shared(
            self._subject(reader),
            f"machines {asked.after}",
            lambda: self.services.machines.overview(caller, reader.organization.id, asked),
        )
        usage = await self._live.shared(
            self._subject(reader), "usage", lambda: self.services.usage.of_organization(counting, None, None)
        )
        now = self.context.now()
        return render(
            "machines.html",
            reader.who,
            reader=reader,
            machines=part_of(request, found, asked),
            states={one.facts.id: state_of(one.facts, now) for one in found.items},
            isolations=_ISOLATIONS,
            fill={one.facts.id: length(one.facts.volume_bytes or 0, one.keep_bytes) for one in found.items},
            machine_seconds=sum(one.machine_time.total_seconds() for one in usage.projects),
            cache_bytes=usage.cache_bytes,
            now=now,
        )

    async def events(self, request: Request) -> Response:
        """GET /organizations/{organization_id}/machines/events: see `event_stream`."""
        reader = await self.reader(request)
        reader.calling(_LIST)
        subject = self._subject(reader)
        return event_stream(self.context, self._live, subject, lambda: self.reader(request), MADE_FOR_ONE)

    def _subject(self, reader: Reader) -> Subject:
        return machines_of(self.services.machines, reader.organization.id)


def state_of(machine: MachineFacts, now: datetime) -> State:
    """A machine's state. One that crashed several times is started only after a pause."""
    if machine.state is MachineState.STOPPED and machine.waits_for is not None:
        return State("waits for room", "running")
    pauses = machine.retry_at is not None and machine.retry_at > now
    if machine.state is MachineState.STOPPED and pauses and machine.crashes >= CRASHES_IN_A_ROW:
        return State(f"paused after {machine.crashes} crashes", "failed")
    return State(machine.state.value, _TAGS[machine.state])
