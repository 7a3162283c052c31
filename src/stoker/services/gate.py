"""Decides whether a call passes the gateway, and to which machine."""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stoker.domain.build_origins import NO_ORIGIN
from stoker.domain.builds import BuildStatus
from stoker.domain.errors import PermissionDenied, ResourceExhausted, Unavailable
from stoker.domain.privileges import privileges_of
from stoker.domain.rates import TokenBuckets
from stoker.pki.certificates import endpoint_server_name
from stoker.services.build_origins import note_origin
from stoker.services.wakeups import SOLVES, solve_topic
from stoker.store import builds as build_store
from stoker.store import machines as machine_store
from stoker.store import solves as solve_store
from stoker.store.locks import Lock

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Mapping

    from stoker.domain.build_origins import BuildOrigin
    from stoker.domain.machines import Machine
    from stoker.domain.platforms import Platform
    from stoker.domain.privileges import Privileges
    from stoker.domain.rates import Rate
    from stoker.services.core import Core
    from stoker.store.database import Transaction

    BlobsOfSolve = Callable[[Machine, str], Awaitable[frozenset[str]]]

_LONGEST_NAMES = 200
_REMEMBERED_BUILDS = 1000
# Clients read what the solve left that just ended.
_LAST_SOLVES = 50
_NOT_THEIRS = "that ref is not one of this build's"


@dataclass(frozen=True, slots=True)
class Destination:
    """The address to send a call to, and the name that the machine there must prove."""

    address: str
    server_name: str


@dataclass(frozen=True, slots=True)
class GateLimits:
    """Limits of one build at the gateway.

    Attributes:
        questions: calls of a build that may wait for an answer at once.
        solves: solves that a build may begin in all.
        solve_rate: solves that it may begin a second, and at once.
        solve_wait_seconds: how long a call waits for the solve that it names to begin.
    """

    questions: int
    solves: int
    solve_rate: Rate
    solve_wait_seconds: float


@dataclass(frozen=True, slots=True)
class SolveRequested:
    """What a solve asks for that begins, and says of its build.

    Attributes:
        entitlements: the privileges.
        origin: where the build comes from.
    """

    entitlements: tuple[str, ...] = ()
    origin: BuildOrigin = NO_ORIGIN


@dataclass(slots=True)
class _Kept:
    """The blobs that machines are known to keep of a build's solves: clients read one in several calls."""

    digests: frozenset[str] = frozenset()
    # Whatever a build asks for, its machine is asked about one of its solves at a time.
    asking: asyncio.Lock = field(default_factory=asyncio.Lock)


class GateService:
    """Answers the gateway's questions. The answer is yes only while the build has a live lease on the machine."""

    def __init__(
        self,
        core: Core,
        privileges: Mapping[str, Privileges],
        blobs_of_solve: BlobsOfSolve,
        limits: GateLimits,
        *,
        records: bool,
    ) -> None:
        """Admit calls of builds.

        Args:
            core: what every service needs.
            privileges: what operators gave single projects, by their ids.
            blobs_of_solve: asks a machine for the digests of all that it keeps of a solve that ended.
            limits: what one build may ask.
            records: whether solves are recorded.
        """
        self._core = core
        self._privileges = privileges
        self._blobs_of_solve = blobs_of_solve
        self._limits = limits
        self._records = records
        self._solve_rates = TokenBuckets(limits.solve_rate, _REMEMBERED_BUILDS)
        self._under_way = Counter[str]()
        self._kept: OrderedDict[str, _Kept] = OrderedDict()

    async def admit(self, build_id: str, platform: Platform, requested_name: str, ref: str | None) -> Destination:
        """The machine that a build may call now, with or without a solve.

        A call that comes before its solve waits for it: clients send both at once.

        Args:
            build_id: from the caller's certificate.
            platform: from the caller's certificate.
            requested_name: the name that the caller wants to reach (TLS SNI).
            ref: the solve that the call is about, if it is about one.

        Raises:
            PermissionDenied: the build has no live lease, the name is another machine's, or the ref is no solve's of
                this build.
            Unavailable: the machine isn't ready.
            ResourceExhausted: too many calls of this build wait for an answer.
        """
        with self._judging(build_id):
            if ref is None:
                return _destination(await self._machine(build_id, platform, requested_name))
            deadline = self._core.monotonic() + self._limits.solve_wait_seconds
            with self._core.wakeups.subscribe(solve_topic(ref)) as begun:
                while True:
                    async with self._core.database.read() as tx:
                        machine, owner = await self._leased(tx, build_id, platform, requested_name, ref)
                    # A wake-up may be for nothing.
                    seconds = deadline - self._core.monotonic()
                    if owner is not None or seconds <= 0:
                        break
                    await begun.wait(seconds)
            if owner != build_id:
                raise PermissionDenied(_NOT_THEIRS)
            return _destination(machine)

    async def admit_solve(
        self, build_id: str, platform: Platform, requested_name: str, ref: str, asked: SolveRequested
    ) -> Destination:
        """The machine on which a build may begin a solve, which owns its ref from now on, and is recorded.

        Raises:
            PermissionDenied: as for `admit`; the ref is another build's; or the operator has not given the project the
                privileges.
            ResourceExhausted: as for `admit`, or the build has begun too many solves, or too many a second.
            Unavailable: the machine isn't ready.
        """
        with self._judging(build_id):
            wait = self._solve_rates.take(build_id, self._core.monotonic())
            if wait > 0:
                rate = self._limits.solve_rate.per_second
                raise ResourceExhausted(
                    f"build {build_id} begins more than {rate:g} solves a second, which is the most for long; "
                    f"try again in {wait:.1f} s"
                )
            async with self._core.database.write() as tx:
                await tx.lock(Lock.BUILD, build_id)
                machine, owner = await self._leased(tx, build_id, platform, requested_name, ref)
                if owner not in {None, build_id}:
                    raise PermissionDenied(_NOT_THEIRS)
                self._check_entitlements(machine, asked.entitlements)
                destination = _destination(machine)
                if owner is None:
                    await self._begin(tx, ref, build_id, machine)
                    await note_origin(self._core, tx, build_id, asked.origin)
                    tx.after_commit(lambda: self._core.wakeups.wake(SOLVES, solve_topic(ref)))
            return destination

    async def admit_blob(self, build_id: str, platform: Platform, requested_name: str, digest: str) -> Destination:
        """The machine from which a build may read a blob: one of what is kept there of the build's own solves.

        Raises:
            PermissionDenied: as for `admit`, or the blob isn't one of them.
            ResourceExhausted: as for `admit`.
            Unavailable: the machine isn't ready.
        """
        with self._judging(build_id):
            machine = await self._machine(build_id, platform, requested_name)
            destination = _destination(machine)
            kept = self._kept.setdefault(build_id, _Kept())
            self._kept.move_to_end(build_id)
            while len(self._kept) > _REMEMBERED_BUILDS:
                self._kept.popitem(last=False)
            async with kept.asking:
                if digest not in kept.digests:
                    await self._look_for(digest, kept, build_id, machine)
            if digest not in kept.digests:
                raise PermissionDenied("that blob is not one of what this build's solves left behind")
            return destination

    async def _look_for(self, digest: str, kept: _Kept, build_id: str, machine: Machine) -> None:
        async with self._core.database.read() as tx:
            refs = await solve_store.refs_on_machine(tx, build_id, machine.id, _LAST_SOLVES)
        for ref in refs:
            kept.digests |= await self._blobs_of_solve(machine, ref)
            if digest in kept.digests:
                return

    @contextmanager
    def _judging(self, build_id: str) -> Generator[None]:
        if self._under_way[build_id] >= self._limits.questions:
            raise ResourceExhausted(f"build {build_id} makes too many calls at once; wait for some to end")
        self._under_way[build_id] += 1
        try:
            yield
        finally:
            self._under_way[build_id] -= 1
            if not self._under_way[build_id]:
                del self._under_way[build_id]

    async def _machine(self, build_id: str, platform: Platform, requested_name: str) -> Machine:
        async with self._core.database.read() as tx:
            return (await self._leased(tx, build_id, platform, requested_name, ""))[0]

    async def _leased(
        self, tx: Transaction, build_id: str, platform: Platform, requested_name: str, ref: str
    ) -> tuple[Machine, str | None]:
        found = await machine_store.leased_machine(tx, build_id, platform, ref)
        if found is None:
            raise PermissionDenied(await self._why_not(tx, build_id, platform))
        if requested_name != endpoint_server_name(found[0].id):
            raise PermissionDenied(
                f"build {build_id} asks for another machine than its own; use the server name and the certificate "
                "of the same endpoint"
            )
        return found

    async def _why_not(self, tx: Transaction, build_id: str, platform: Platform) -> str:
        build = await build_store.find_any_build(tx, build_id)
        if build is not None and build.status is BuildStatus.CANCELED and build.error:
            return f"build {build_id} was {build.error}"
        return f"build {build_id} has no endpoint for {platform}: it has ended or gave it back"

    async def _begin(self, tx: Transaction, ref: str, build_id: str, machine: Machine) -> None:
        """Before its machine sees the solve, which is when there is something to follow."""
        if await solve_store.count_solves(tx, build_id) >= self._limits.solves:
            raise ResourceExhausted(f"build {build_id} has begun {self._limits.solves} solves; create another build")
        if not await solve_store.add_solve(tx, ref, build_id, machine, self._core.now(), follow=self._records):
            raise PermissionDenied(_NOT_THEIRS)  # another build took it a moment ago

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


def _destination(machine: Machine) -> Destination:
    if not machine.usable or machine.placement is None or machine.placement.port is None:
        raise Unavailable("the build's machine is not ready; get the endpoint again")
    return Destination(f"{machine.placement.host}:{machine.placement.port}", machine.server_name)
