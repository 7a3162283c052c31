"""May this call pass the gateway, and to which machine?"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stoker.domain.errors import FailedPrecondition, PermissionDenied, Unavailable
from stoker.domain.privileges import privileges_of
from stoker.domain.steps import BuildWarning
from stoker.pki.certificates import endpoint_server_name
from stoker.services.wakeups import SOLVES
from stoker.store import build_notes as note_store
from stoker.store import leases as lease_store
from stoker.store import machines as machine_store
from stoker.store import solves as solve_store

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stoker.domain.machines import Machine
    from stoker.domain.platforms import Platform
    from stoker.domain.privileges import Privileges
    from stoker.services.core import Core
    from stoker.store.database import Transaction

_LONGEST_NAMES = 200
_REMEMBERED_REFS = 10_000


@dataclass(frozen=True, slots=True)
class Destination:
    """Where the gateway is to send a call, and the name that the machine there must prove."""

    address: str
    server_name: str


class GateService:
    """Answers the gateway's questions. The answer is yes only while the build has a live lease on the machine."""

    def __init__(
        self,
        core: Core,
        privileges: Mapping[str, Privileges],
        emulated: frozenset[Platform] = frozenset(),
        *,
        records: bool,
    ) -> None:
        """Admit calls of builds.

        Args:
            core: what every service needs.
            privileges: what operators gave single projects, by their ids.
            emulated: the platforms that machines emulate, of which the record warns.
            records: whether solves are recorded.
        """
        self._core = core
        self._privileges = privileges
        self._emulated = emulated
        self._records = records
        # Which build a ref belongs to never changes, so it may be remembered; several calls of a build name it.
        self._owners: OrderedDict[str, str] = OrderedDict()

    async def admit(
        self,
        build_id: str,
        platform: Platform,
        requested_name: str,
        ref: str | None,
        *,
        entitlements: tuple[str, ...] = (),
        builds_for: frozenset[Platform] = frozenset(),
        begins: bool = False,
    ) -> Destination:
        """The machine that a build may call now.

        Args:
            build_id: from the caller's certificate.
            platform: from the caller's certificate.
            requested_name: the name that the caller wants to reach (TLS SNI).
            ref: the solve that the call is about, if it is about one. The first build that names a ref owns it.
            entitlements: the privileges that the solve asks for.
            builds_for: the platforms that the solve names, if it names any.
            begins: whether the solve begins with this call, so that it is recorded from now on.

        Raises:
            PermissionDenied: the build has no live lease, the name is another machine's, the ref is another build's, or
                the operator has not given its project the privileges.
            Unavailable: the machine isn't ready.
        """
        async with self._core.database.read() as tx:
            lease = await lease_store.live_lease(tx, build_id, platform)
            machine = None if lease is None else await machine_store.find_machine(tx, lease.machine_id)
            owner = None if ref is None else await self._owner(tx, ref)
        if lease is None or machine is None:
            raise PermissionDenied(f"build {build_id} has no endpoint for {platform}: it has ended or gave it back")
        if requested_name != endpoint_server_name(machine.id):
            raise PermissionDenied(
                f"build {build_id} asks for another machine than its own; use the server name and the certificate "
                "of the same endpoint"
            )
        self._check_entitlements(machine, entitlements)
        if not machine.usable or machine.placement is None or machine.placement.port is None:
            raise Unavailable(f"the machine of build {build_id} is not ready; get the endpoint again")
        if ref is not None and owner is None:
            await self._claim_ref(ref, build_id, machine.id)
        elif ref is not None and owner != build_id:
            raise PermissionDenied("that ref is not one of this build's")
        if ref is not None and begins and self._records:
            await self._begin_record(ref, build_id, machine, builds_for | {machine.platform})
        return Destination(f"{machine.placement.host}:{machine.placement.port}", machine.server_name)

    def _check_entitlements(self, machine: Machine, wanted: tuple[str, ...]) -> None:
        given = privileges_of(machine, self._privileges).entitlements
        refused = ", ".join(sorted({name for name in wanted if name not in given}))[:_LONGEST_NAMES]
        if refused and machine.build_id is not None:
            raise PermissionDenied(f"untrusted builds may not use {refused}; leave out --allow")
        if refused:
            raise PermissionDenied(
                f"builds of project {machine.project_id} may not use {refused}; leave out --allow, or ask the operator "
                "of this server to give it to the project (setting project_privileges)"
            )

    async def _owner(self, tx: Transaction, ref: str) -> str | None:
        owner = self._owners.get(ref) or await solve_store.find_solve_build(tx, ref)
        if owner is not None:
            self._owners[ref] = owner
            while len(self._owners) > _REMEMBERED_REFS:
                self._owners.popitem(last=False)
        return owner

    async def _begin_record(self, ref: str, build_id: str, machine: Machine, builds_for: frozenset[Platform]) -> None:
        """Before its machine sees the solve, which is when there is something to follow."""
        async with self._core.database.write() as tx:
            begun = await solve_store.begin_record(tx, ref, machine.run, machine.volume_id)
            emulated = sorted(builds_for & self._emulated)
            if begun and emulated:
                await note_store.add_warnings(tx, [_emulation_warning(build_id, ref, one) for one in emulated])
        if begun:
            self._core.wakeups.wake(SOLVES)

    async def _claim_ref(self, ref: str, build_id: str, machine_id: str) -> None:
        if not ref or len(ref) > 256:
            raise FailedPrecondition("a solve's ref must have 1 to 256 characters")
        now = self._core.now()
        async with self._core.database.write() as tx:
            if await solve_store.add_solve(tx, ref, build_id=build_id, machine_id=machine_id, now=now):
                return
            if await solve_store.find_solve_build(tx, ref) != build_id:
                raise PermissionDenied("that ref is not one of this build's")


def _emulation_warning(build_id: str, ref: str, platform: Platform) -> BuildWarning:
    return BuildWarning(
        build_id=build_id,
        solve_ref=ref,
        digest="",
        level=1,
        short=f"{platform} is emulated on this server, so steps take many times as long as on a host of that platform",
        detail=(),
        url="",
        filename="",
        ranges=(),
    )
