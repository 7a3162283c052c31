"""`stoker.v1.MachineService`: machines and volumes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protobuf.wkt import Timestamp

from stoker._gen.stoker.v1 import machines_pb as pb
from stoker._gen.stoker.v1.machines_connect import MachineService
from stoker.rpc.caller import caller
from stoker.rpc.encoding import encode_moment

if TYPE_CHECKING:
    from typing import Any

    from connectrpc.request import RequestContext

    from stoker.domain.machines import MachineFacts
    from stoker.services.machines import MachineService as Machines


class MachineHandlers(MachineService):
    """Machines and volumes."""

    def __init__(self, machines: Machines) -> None:
        self._machines = machines

    async def list_machines(
        self, request: pb.ListMachinesRequest, ctx: RequestContext[Any, Any], /
    ) -> pb.ListMachinesResponse:
        """The machines of an organization or a project."""
        listed = await self._machines.list(caller(), request.organization_id, request.project_id)
        return pb.ListMachinesResponse(machines=[_facts(machine) for machine in listed])


def _facts(machine: MachineFacts) -> pb.MachineFacts:
    return pb.MachineFacts(
        machine_id=machine.id,
        project_id=machine.project_id,
        platform=machine.platform.value,
        state=machine.state.value,
        changed_at=Timestamp.from_datetime(machine.changed_at),
        builds=machine.builds,
        cpus=machine.cpus or 0,
        memory_bytes=machine.memory_bytes or 0,
        crashes=machine.crashes,
        retry_at=encode_moment(machine.retry_at),
        problem=machine.problem or "",
        build_id=machine.build_id or "",
        volume_bytes=machine.volume_bytes or 0,
        volume_problem=machine.volume_problem or "",
        isolation=machine.isolation or "",
        waits_for=machine.waits_for or "",
    )
