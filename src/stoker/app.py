"""The API process: what it consists of, the table of what runs in it by itself, its start and its end.

pyvoy serves `application` on the API port.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stoker.assembly import (
    delivery_options,
    open_core,
    open_sites,
    otlp_tracer,
    request_limits,
    rpc_options,
)
from stoker.auth.issuer_documents import IssuerDocuments
from stoker.auth.issuer_keys import IssuerKeys, KeyTimes
from stoker.background import Background, Work
from stoker.buildkit.control import read_credentials
from stoker.control import hand_over
from stoker.control_answers import ControlAnswers
from stoker.domain.duties import Duty
from stoker.fleet.cache_inspection import CacheInspection
from stoker.fleet.measuring import VolumeMeasurer
from stoker.fleet.site_upkeep import SiteUpkeep
from stoker.fleet.volume_bounds import VolumeBounds
from stoker.gateway.authorizer import Authorizer
from stoker.gateway.failures import FailureReasons
from stoker.gateway.machine_blobs import MachineBlobs
from stoker.gateway.solve_connections import SolveConnections
from stoker.handover import Handover
from stoker.holder import holder_of
from stoker.listening import bind_privately, serve, serve_at
from stoker.logs import configure_logging
from stoker.observing.exposition import Exposition
from stoker.observing.metrics import PrometheusMeter
from stoker.pki.certificates import Certificates
from stoker.pki.private_files import read_webhook_key
from stoker.plan import PLAN_VARIABLE, ServerPlan, database_file, read_plan, solves_log_file
from stoker.recorder.record_retention import RecordRetention
from stoker.rpc.application import rpc_routes
from stoker.rpc.dispatch import Dispatch, answer_not_found
from stoker.rpc.probes import PROBES, answer_probe
from stoker.runtimes.opening import EngineFiles
from stoker.services.admission import Admission
from stoker.services.duties import DutyService
from stoker.store.fencing import FencedDatabase
from stoker.store.opening import open_database
from stoker.system import SystemRandomness
from stoker.webhooks.delivering import WebhookDeliverer
from stoker.wiring import fleet_controller, pages_of, recorder_of, services_of

if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable, MutableMapping

    Event = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Event]]
    Send = Callable[[Event], Awaitable[None]]

_STOP_PATIENCE = timedelta(seconds=20)
_HAND_OVER_SECONDS = 20.0
_REST_SECONDS = 10.0

_log = logging.getLogger(__name__)


class ApiProcess:
    """Everything that runs in the API process, from its start to its end."""

    def __init__(self, plan: ServerPlan) -> None:
        settings = plan.settings
        self.plan = plan
        self._database = FencedDatabase(open_database(settings.database, database_file(settings)))
        engine = EngineFiles(plan.buildkitd, plan.container_runtime)
        sites = open_sites(settings, plan.server_id, engine, plan.found)
        meter = None if plan.metrics is None else PrometheusMeter()
        self._tracer = otlp_tracer(settings, plan.server_id)
        core = open_core(settings, self._database, Admission(sites.shortage), meter, self._tracer)
        certificates = Certificates(settings.server.data / "pki", core.clock)
        credentials = read_credentials(certificates.internal_client(), certificates.machines_ca_file.read_bytes())
        webhook_key = read_webhook_key(settings.server.data / "pki", core.randomness)
        self._documents = IssuerDocuments(settings.oidc.oidc_timeout_seconds)
        times = KeyTimes(between_looks=timedelta(seconds=settings.oidc.oidc_refresh_seconds))
        keys = IssuerKeys(self._documents, core.clock, times)
        options = settings.fleet
        inspection, blobs = CacheInspection(core, credentials, options), MachineBlobs(credentials)
        solves = SolveConnections(solves_log_file(settings))

        self._services = services = services_of(
            core, plan, sites, certificates, keys, inspection, blobs, solves, webhook_key
        )
        self.routes = rpc_routes(services, core, rpc_options(settings, plan.public_url))
        self.pages = pages_of(services, core, plan, self._documents, keys)

        self._fleet = fleet = fleet_controller(core, sites, certificates, credentials, inspection, options)
        recorder = recorder_of(services, core, plan, sites, credentials)
        deliverer = WebhookDeliverer(core, delivery_options(settings), webhook_key, plan.public_url)
        measurer = VolumeMeasurer(core, sites, timedelta(seconds=settings.fleet.measure_seconds))
        retention = partial(services.retention.run, timedelta(seconds=settings.retention.cleanup_seconds))
        token_uses = partial(services.token_uses.run, timedelta(seconds=settings.people.token_use_seconds))
        work = [
            Work("fleet", fleet.run, Duty.FLEET, first=fleet.settle),
            Work("recorder", recorder.run),
            Work("old records", RecordRetention(core, settings.records.lifetime).run, Duty.RETENTION),
            Work("clock", services.clock_watch.run),
            Work("expiry", services.expiry.run, Duty.BUILDS),
            Work("queue", services.queue.run, Duty.BUILDS),
            Work("prewarming", services.prewarming.run),
            Work("retention", retention, Duty.RETENTION),
            Work("volume bounds", VolumeBounds(core, sites).run, Duty.FLEET),
            Work("volume sizes", measurer.run, Duty.FLEET),
            Work("token uses", token_uses),
            Work("upkeep of sites", SiteUpkeep(sites).run, Duty.FLEET),
            Work("webhooks", deliverer.run, Duty.WEBHOOKS),
        ]
        if meter is not None and plan.metrics is not None:
            exposition = Exposition(meter, services.census)
            work.append(Work("metrics", partial(serve_at, exposition, plan.metrics)))
        # SQLite lets no other server in: its data folder is locked.
        duties = DutyService(core, holder_of(settings.server.data, core.randomness), is_shared=False)
        self._background = Background(work, duties)

        self._handover = Handover(
            plan.control_socket, core.wakeups, leave=self._leave_work, take_back=self._take_back_work
        )
        self._control = ControlAnswers(
            Authorizer(
                services.gate,
                core.meter,
                core.tracer,
                settings.gateway.max_solve_bytes + 1024,
                settings.api.max_message_parts,
            ),
            FailureReasons(services.solve_failures),
            self._handover,
            services.shutdown,
            settings.fleet.stop_grace + _STOP_PATIENCE,
        )
        self._controls: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Open the control socket, and begin to look after machines and leases.

        When an API process that this one replaces still answers calls, it hands its work over first.
        """
        predecessor = await hand_over(self.plan.control_socket, _HAND_OVER_SECONDS)
        listener = bind_privately(self.plan.control_socket)
        await self._services.clock_watch.begin()
        self._answer(listener)
        await self._background.start()
        self._handover.accompany(predecessor)

    async def is_ready(self) -> bool:
        """Whether this process should be sent requests."""
        return await self._services.readiness.is_ready()

    async def stop(self) -> None:
        """End the work of this process. Machines go on."""
        await self._handover.close()
        await self._background.stop()
        for task in self._controls:
            task.cancel()
        await asyncio.gather(*self._controls, return_exceptions=True)
        try:
            await self._services.token_uses.store()
        except Exception:
            _log.exception("the last uses of tokens could not be stored")
        if self._tracer is not None:
            await asyncio.to_thread(self._tracer.close)
        try:
            await self._documents.close()
        finally:
            await self._database.close()

    def _answer(self, listener: socket.socket) -> None:
        """Answer at the control socket."""
        self._controls.append(asyncio.create_task(serve(self._control, listener), name="control socket"))

    async def _leave_work(self) -> None:
        await self._fleet.rest(_REST_SECONDS)
        await self._background.stop()

    async def _take_back_work(self) -> None:
        self._answer(bind_privately(self.plan.control_socket))
        await self._background.start()


class Application:
    """The ASGI application: finds the service of each request, and follows the process's lifespan."""

    def __init__(self) -> None:
        self._dispatch: Dispatch | None = None
        self._is_ready: Callable[[], Awaitable[bool]] = _never

    async def __call__(self, scope: Event, receive: Receive, send: Send) -> None:
        """Handle a request or the lifespan."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        if scope["path"] in PROBES:
            await answer_probe(scope, send, self._is_ready)
            return
        if self._dispatch is None:
            await answer_not_found(scope, send)
            return
        await self._dispatch(scope, receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            plan = read_plan(Path(os.environ[PLAN_VARIABLE]))
            configure_logging(plan.settings.observing.log_format)
            process = ApiProcess(plan)
            await process.start()
        except Exception as error:
            _log.exception("the API can't start")
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        self._dispatch = Dispatch(
            process.routes, process.pages, request_limits(process.plan.settings), SystemRandomness()
        )
        # Or each full collection would look at all that was imported, for 100 ms in which nobody is answered.
        gc.collect()
        gc.freeze()
        self._is_ready = process.is_ready
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self._is_ready = _never
        await process.stop()
        await send({"type": "lifespan.shutdown.complete"})


async def _never() -> bool:
    return False


application = Application()
