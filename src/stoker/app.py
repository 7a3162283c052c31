"""The API process: the only place where things are put together. pyvoy serves `application` on the API port."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from contextlib import AsyncExitStack, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import uvicorn

from stoker.assembly import (
    build_pages,
    call_limits,
    company_sign_in,
    delivery_options,
    gate_limits,
    new_people_role,
    oidc_providers,
    open_core,
    otlp_tracer,
    page_rates,
    page_sizes,
    process_runtime,
    project_privileges,
    record_limits,
    recorder_options,
    request_limits,
)
from stoker.auth.issuer_documents import IssuerDocuments
from stoker.auth.issuer_keys import IssuerKeys, KeyTimes
from stoker.auth.oidc import OidcVerifier
from stoker.auth.passwords import Passwords
from stoker.buildkit.control import read_credentials
from stoker.control import HAND_OVER, PROCESS, STOP, hand_over
from stoker.fleet.cache_inspection import CacheLooks
from stoker.fleet.controller import FleetController
from stoker.fleet.housekeeping import Housekeeping
from stoker.fleet.lifecycle import MachineLifecycle
from stoker.fleet.measuring import VolumeMeasurer
from stoker.fleet.options import FleetOptions
from stoker.fleet.volume_bounds import VolumeBounds
from stoker.gateway.authorizer import Authorizer
from stoker.gateway.failures import FAILURE_PATH, FailureReasons
from stoker.gateway.machine_blobs import MachineBlobs
from stoker.handover import Handover
from stoker.logs import configure_logging
from stoker.observing.exposition import Exposition
from stoker.observing.metrics import PrometheusMeter
from stoker.pki.certificates import Certificates
from stoker.pki.webhook_key import read_webhook_key
from stoker.plan import PLAN_VARIABLE, ServerPlan, read_plan
from stoker.recorder.recorder import Recorder
from stoker.rpc.application import RpcServices, rpc_routes
from stoker.rpc.dispatch import Dispatch, answer_not_found
from stoker.rpc.stoker.audit import event_json
from stoker.services.admission import Admission
from stoker.services.analysis import AnalysisService
from stoker.services.audit_queries import AuditService
from stoker.services.authentication import AuthenticationService
from stoker.services.builds import BuildService
from stoker.services.caches import CacheService
from stoker.services.census import CensusService
from stoker.services.clock_watch import ClockWatch
from stoker.services.endpoints import EndpointService
from stoker.services.expiry import ExpiryService
from stoker.services.gate import GateService
from stoker.services.logins import LoginService
from stoker.services.machines import MachineService
from stoker.services.organizations import OrganizationService
from stoker.services.overviews import OverviewService
from stoker.services.projects import ProjectService
from stoker.services.queue import QueueService
from stoker.services.record_writer import RecordingService
from stoker.services.records import RecordService
from stoker.services.retention import ForgettingService
from stoker.services.sharing import SharingService
from stoker.services.shutdown import ClosingService
from stoker.services.sign_in import SignInService
from stoker.services.signs_of_life import SignsOfLife
from stoker.services.solve_failures import SolveFailures
from stoker.services.token_uses import TokenUseService
from stoker.services.tokens import TokenService
from stoker.services.trust_policies import TrustPolicyService
from stoker.services.usage import UsageService
from stoker.services.wakeups import LEASES
from stoker.services.webhooks import WebhookService
from stoker.store.database import open_sqlite
from stoker.system import SystemClock, SystemRandomness
from stoker.web.application import web_application
from stoker.web.page import WebServices
from stoker.web.page_limits import PageLimits
from stoker.web.sessions import Cookies
from stoker.webhooks.delivering import WebhookDeliverer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from stoker.settings.addresses import HostPort

    Event = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Event]]
    Send = Callable[[Event], Awaitable[None]]

_CLOCK_SECONDS = 1.0
_LONGEST_EXPIRY_WAIT = 30.0
_RESTART_PAUSE = 1.0
_UPKEEP_SECONDS = 30.0
_TEST_PATIENCE = timedelta(seconds=5)
_STOP_PATIENCE = timedelta(seconds=20)
_HAND_OVER_SECONDS = 20.0
_REST_SECONDS = 10.0

_log = logging.getLogger(__name__)


class ApiProcess:
    """Everything that runs in the API process, from its start to its end."""

    def __init__(self, plan: ServerPlan) -> None:
        settings = plan.settings
        self.plan = plan
        self._database = open_sqlite(plan.database)
        self._runtime = runtime = process_runtime(settings, plan.server_id, plan.buildkitd, plan.container_runtime)
        self._meter = None if plan.metrics is None else PrometheusMeter()
        self._tracer = otlp_tracer(settings, plan.server_id)
        self._core = core = open_core(settings, self._database, Admission(runtime.shortage), self._meter, self._tracer)
        certificates = Certificates(settings.data / "pki", core.clock)
        credentials = read_credentials(certificates.internal_client(), certificates.machines_ca_file.read_bytes())
        options = FleetOptions(
            idle_timeout=timedelta(seconds=settings.idle_seconds),
            start_timeout=timedelta(seconds=settings.start_timeout_seconds),
            start_attempts=settings.start_attempts,
            stop_grace=timedelta(seconds=settings.stop_grace_seconds),
            parallel_starts=settings.parallel_starts,
            housekeeping_pause=timedelta(seconds=settings.housekeeping_seconds),
            privileges=project_privileges(settings),
        )
        claim = core.new_id()
        self._volume_bounds = VolumeBounds(core, runtime)
        self._measurer = VolumeMeasurer(core, runtime, timedelta(seconds=settings.measure_seconds))
        self._token_uses = TokenUseService(core)
        housekeeping = Housekeeping(core, runtime, credentials, options)
        looks = CacheLooks(core, credentials, options)
        lifecycle = MachineLifecycle(core, runtime, certificates, credentials, housekeeping, looks, options, claim)
        self._fleet = FleetController(core, runtime, lifecycle, housekeeping, options, claim)
        monotonic = SystemClock().monotonic
        recording = RecordingService(
            core,
            record_limits(settings),
            timedelta(days=settings.record_days),
            timedelta(seconds=settings.record_report_seconds),
            frozenset(one.architecture for one in runtime.platforms() - runtime.emulated()),
        )
        self._recorder = Recorder(core, recording, credentials, recorder_options(settings), monotonic)
        self._clock_watch = ClockWatch(core)
        self._expiry = ExpiryService(core, self._clock_watch, signs := SignsOfLife())
        self._closing = ClosingService(core)
        self._queue = QueueService(core)
        gate = GateService(
            core,
            options.privileges,
            MachineBlobs(credentials),
            gate_limits(settings),
            records=settings.record_builds,
        )
        self._authorizer = Authorizer(gate, core.meter, core.tracer, settings.max_solve_bytes + 1024)
        self._failures = FailureReasons(SolveFailures(core, settings.gateway_wait_seconds / 2))
        self._forgetting = ForgettingService(core)
        providers = oidc_providers(settings)
        self._documents = IssuerDocuments(settings.oidc_timeout_seconds)
        times = KeyTimes(between_looks=timedelta(seconds=settings.oidc_refresh_seconds))
        keys = IssuerKeys(self._documents, core.clock, times)
        self._tasks: list[asyncio.Task[None]] = []
        self._controls: list[asyncio.Task[None]] = []
        self._handover = Handover(
            plan.control_socket, core.wakeups, leave=self._leave_work, take_back=self._take_back_work
        )
        self._resources = AsyncExitStack()
        authentication = AuthenticationService(core, OidcVerifier(providers, keys, core.clock))
        projects, builds, logins = ProjectService(core), BuildService(core), LoginService(core)
        audit = AuditService(core)
        webhook_key, deliveries = read_webhook_key(settings.data / "pki", core.randomness), delivery_options(settings)
        self._deliverer = WebhookDeliverer(core, deliveries, webhook_key, plan.public_url)
        webhooks = WebhookService(
            core, webhook_key, allow_private=deliveries.allow_private, test_wait=deliveries.timeout + _TEST_PATIENCE
        )
        organizations, sharing = OrganizationService(core, plan.public_url), SharingService(core)
        records, tokens, trust_policies = RecordService(core), TokenService(core), TrustPolicyService(core, providers)
        machines, usage = MachineService(core), UsageService(core)
        cookies = Cookies(plan.public_url.startswith("https://"), core.limits.session_lifetime)
        web = web_application(
            WebServices(
                authentication=authentication,
                sign_in=SignInService(core, Passwords(), new_people_role(settings)),
                logins=logins,
                organizations=organizations,
                projects=projects,
                builds=builds,
                sharing=sharing,
                audit=audit,
                audit_json=event_json,
                records=records,
                analysis=AnalysisService(core, settings.page_analysed_steps),
                page_sizes=page_sizes(settings),
                overviews=OverviewService(core),
                tokens=tokens,
                trust_policies=trust_policies,
                machines=machines,
                usage=usage,
                webhooks=webhooks,
                company=company_sign_in(settings, plan.public_url, self._documents, keys),
                company_name=settings.sign_in_name,
                randomness=core.randomness,
                cookies=cookies,
                live_refreshes_per_second=settings.live_refreshes_per_second,
                build_pages=build_pages(settings),
                now=core.now,
                monotonic=monotonic,
            )
        )
        self.pages = PageLimits(web, page_rates(settings), cookies, monotonic)
        self.routes = rpc_routes(
            RpcServices(
                authentication=authentication,
                projects=projects,
                tokens=tokens,
                trust_policies=trust_policies,
                builds=builds,
                endpoints=EndpointService(core, certificates, plan.gateway_address, runtime.platforms(), signs),
                logins=logins,
                organizations=organizations,
                sharing=sharing,
                usage=usage,
                caches=CacheService(core, looks.look),
                queue=self._queue,
                machines=machines,
                records=records,
                recording=recording,
                audit=audit,
                webhooks=webhooks,
                randomness=core.randomness,
                public_url=plan.public_url,
                connection_wait=core.limits.connection_wait,
                max_message_bytes=settings.max_message_bytes,
                max_guest_message_bytes=settings.max_guest_message_bytes,
                max_message_parts=settings.max_message_parts,
                limits=call_limits(settings),
                monotonic=monotonic,
                meter=core.meter,
                tracer=core.tracer,
            )
        )

    async def start(self) -> None:
        """Open the control socket, and begin to look after machines and leases.

        When an API process that this one replaces still answers calls, it hands its work over first.
        """
        predecessor = await hand_over(self.plan.control_socket, _HAND_OVER_SECONDS)
        self._resources.push_async_callback(self._database.close)
        self._resources.push_async_callback(self._documents.close)
        listener = _bind_privately(self.plan.control_socket)
        await self._clock_watch.begin()
        self._answer(listener)
        await self._begin_work()
        self._handover.accompany(predecessor)

    def _answer(self, listener: socket.socket) -> None:
        """Answer at the control socket."""
        self._controls.append(asyncio.create_task(_serve(self._control, listener), name="control socket"))

    async def _begin_work(self) -> None:
        await self._fleet.settle()
        self._tasks = [
            asyncio.create_task(_keep_going("fleet", self._fleet.run), name="fleet"),
            asyncio.create_task(_keep_going("recorder", self._recorder.run), name="recorder"),
            asyncio.create_task(_keep_going("old records", self._recorder.clean), name="old records"),
            asyncio.create_task(_keep_going("clock", self._watch_clock), name="clock"),
            asyncio.create_task(_keep_going("expiry", self._expire), name="expiry"),
            asyncio.create_task(_keep_going("queue", self._queue.run), name="queue"),
            asyncio.create_task(_keep_going("forgetting", self._forget), name="forgetting"),
            asyncio.create_task(_keep_going("volume bounds", self._volume_bounds.run), name="volume bounds"),
            asyncio.create_task(_keep_going("volume sizes", self._measurer.run), name="volume sizes"),
            asyncio.create_task(_keep_going("token uses", self._store_token_uses), name="token uses"),
            asyncio.create_task(_keep_going("upkeep", self._upkeep), name="upkeep"),
            asyncio.create_task(_keep_going("webhooks", self._deliverer.run), name="webhooks"),
        ]
        if self._meter is not None and self.plan.metrics is not None:
            self._tasks.append(asyncio.create_task(_keep_going("metrics", self._serve_metrics), name="metrics"))

    async def _leave_work(self) -> None:
        await self._fleet.rest(_REST_SECONDS)
        await self._end_work()

    async def _take_back_work(self) -> None:
        self._answer(_bind_privately(self.plan.control_socket))
        await self._begin_work()

    async def _end_work(self) -> None:
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def stop(self) -> None:
        """End the work of this process. Machines go on."""
        await self._handover.close()
        await self._end_work()
        for task in self._controls:
            task.cancel()
        await asyncio.gather(*self._controls, return_exceptions=True)
        try:
            await self._token_uses.store()
        except Exception:
            _log.exception("the last uses of tokens could not be stored")
        if self._tracer is not None:
            await asyncio.to_thread(self._tracer.close)
        await self._resources.aclose()

    async def _serve_metrics(self) -> None:
        if self._meter is not None and self.plan.metrics is not None:
            with _bind(self.plan.metrics) as listener:
                await _serve(Exposition(self._meter, CensusService(self._core)), listener)

    async def _expire(self) -> None:
        with self._core.wakeups.subscribe(LEASES) as subscription:
            while True:
                await self._expiry.expire()
                next_expiry = await self._expiry.next_expiry()
                wait = _LONGEST_EXPIRY_WAIT
                if next_expiry is not None:
                    wait = min(wait, max(0.0, (next_expiry - self._core.now()).total_seconds()))
                await subscription.wait(wait)

    async def _watch_clock(self) -> None:
        while True:
            await self._clock_watch.look()
            await asyncio.sleep(_CLOCK_SECONDS)

    async def _forget(self) -> None:
        while True:
            await self._forgetting.forget()
            await asyncio.sleep(self.plan.settings.forget_seconds)

    async def _upkeep(self) -> None:
        while True:
            await self._runtime.trim_logs()
            await self._runtime.tend_volumes()
            await asyncio.sleep(_UPKEEP_SECONDS)

    async def _store_token_uses(self) -> None:
        while True:
            await asyncio.sleep(self.plan.settings.token_use_seconds)
            await self._token_uses.store()

    async def _control(self, scope: Event, receive: Receive, send: Send) -> None:
        if scope["path"] == FAILURE_PATH:
            await self._failures(scope, send)
            return
        if scope["path"] == HAND_OVER:
            await self._handover.answer(receive, send)
            return
        if scope["path"] not in {STOP, PROCESS}:
            await self._authorizer(scope, receive, send)
            return
        query = parse_qs(scope["query_string"].decode())
        drain = timedelta(seconds=float(query.get("drain", ["0"])[0]))
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        if scope["path"] == PROCESS:
            await send({"type": "http.response.body", "body": f"{os.getpid()}\n".encode()})
            return
        stopping = timedelta(seconds=self.plan.settings.stop_grace_seconds) + _STOP_PATIENCE
        async for line in self._closing.close(drain, stopping):
            await send({"type": "http.response.body", "body": f"{line}\n".encode(), "more_body": True})
        await send({"type": "http.response.body", "body": b""})


class Application:
    """The ASGI application: finds the service of each request, and follows the process's lifespan."""

    def __init__(self) -> None:
        self._dispatch: Dispatch | None = None

    async def __call__(self, scope: Event, receive: Receive, send: Send) -> None:
        """Handle a request or the lifespan."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        if self._dispatch is None:
            await answer_not_found(scope, send)
            return
        await self._dispatch(scope, receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            plan = read_plan(Path(os.environ[PLAN_VARIABLE]))
            configure_logging(plan.settings.log_format)
            process = ApiProcess(plan)
            await process.start()
        except Exception as error:
            _log.exception("the API can't start")
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        self._dispatch = Dispatch(
            process.routes, process.pages, request_limits(process.plan.settings), SystemRandomness()
        )
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await process.stop()
        await send({"type": "lifespan.shutdown.complete"})


async def _keep_going(name: str, work: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            await work()
        except Exception:
            _log.exception("%s failed; it begins again", name)
        await asyncio.sleep(_RESTART_PAUSE)


async def _serve(application: Any, listener: socket.socket) -> None:  # noqa: ANN401
    config = uvicorn.Config(application, log_config=None, access_log=False, lifespan="off", interface="asgi3")
    await uvicorn.Server(config).serve(sockets=[listener])


def _bind(address: HostPort) -> socket.socket:
    listener = socket.socket(address.family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address.host, address.port))
    listener.listen(128)
    return listener


def _bind_privately(path: Path) -> socket.socket:
    """A listening Unix socket at ``path``, which replaces the one of a process that died."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with suppress(FileNotFoundError):
        temporary.unlink()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(temporary))
    temporary.chmod(0o600)
    listener.listen(1024)
    temporary.replace(path)
    return listener


application = Application()
