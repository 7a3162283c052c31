"""The fleet's controller over sites of a test, with a clock that goes on when the test says so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from stoker.buildkit.control import read_credentials
from stoker.domain.builds import Build, BuildStatus
from stoker.domain.platforms import Platform
from stoker.fleet.cache_inspection import CacheInspection
from stoker.fleet.controller import FleetController
from stoker.fleet.housekeeping import Housekeeping
from stoker.fleet.machine_writer import MachineWriter
from stoker.fleet.starting import MachineStarting
from stoker.fleet.stopping import MachineStopping
from stoker.pki.certificates import Certificates
from stoker.runtimes.sites import Sites
from stoker.services.admission import Admission
from stoker.services.bootstrap import BootstrapService
from stoker.services.build_completion import fail_builds
from stoker.services.core import Core, Limits
from stoker.services.leasing import add_lease
from stoker.services.wakeups import FLEET, Wakeups
from stoker.settings.fleet import FleetSettings
from stoker.store import builds as build_store
from stoker.system import SystemRandomness
from tests.harness.clocks import SteppedClock
from tests.harness.databases import DatabasePlace

DEADLINE_SECONDS = 20.0
_CLAIM = "claim"


@dataclass
class Fleet:
    """A controller that runs, and one project of one organization, whose builds begin and end without clients."""

    core: Core
    clock: SteppedClock
    organization: str
    project: str

    async def begin_build(self, *, untrusted: bool = False) -> str:
        """A build that wants a machine; an untrusted one has a machine of its own."""
        build = Build(
            id=self.core.new_id(),
            organization_id=self.organization,
            project_id=self.project,
            status=BuildStatus.RUNNING,
            error=None,
            created_at=self.clock.now(),
            started_at=None,
            finished_at=None,
            untrusted=untrusted,
        )
        async with self.core.database.write() as tx:
            await build_store.add_build(tx, build)
            await add_lease(self.core, tx, build, Platform.AMD64)
        self.core.wakeups.wake(FLEET)
        return build.id

    async def end_build(self, build_id: str) -> None:
        """Let a build be over, so that it wants no machine any more."""
        async with self.core.database.write() as tx:
            await fail_builds(self.core, tx, [build_id], "it is over")
        self.core.wakeups.wake(FLEET)


@asynccontextmanager
async def running_fleet(
    place: DatabasePlace, sites: Sites, settings: FleetSettings | None = None, limits: Limits | None = None
) -> AsyncIterator[Fleet]:
    """Run a controller with a database of its own. Its machines are ready as soon as they run."""
    database, clock, settings = place.open(), SteppedClock(), settings or FleetSettings()
    core = Core(database, clock, SystemRandomness(), Wakeups(), limits or Limits(), Admission())
    first = await BootstrapService(core).first_steps(lambda _: None)
    assert first is not None
    certificates = Certificates(place.folder / "pki", clock)
    credentials = read_credentials(certificates.internal_client(), certificates.machines_ca_file.read_bytes())
    housekeeping = Housekeeping(core, sites, credentials, settings)
    inspection = CacheInspection(core, credentials, settings)
    writer = MachineWriter(core, settings, _CLAIM)
    stopping = MachineStopping(core, sites, inspection, writer, settings)
    starting = MachineStarting(
        core, sites, certificates, credentials, housekeeping, stopping, writer, settings, wait_until_ready=_at_once
    )
    controller = FleetController(
        core, sites, starting, stopping, writer, housekeeping, settings, _CLAIM, pause=clock.pause
    )
    running = asyncio.create_task(controller.run())
    yield Fleet(core, clock, first.organization_id, first.project_id)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    await database.close()


async def _at_once(*_: object) -> None:
    pass
