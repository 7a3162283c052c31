"""Processes of a server that was killed: those that fit go on, the others are ended."""

from __future__ import annotations

import asyncio
import json
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stoker.control import hand_over, process_at
from stoker.plan import control_socket, database_file
from stoker.serve.gateway_part import gateway_certificate_stamp, gateway_configuration_at
from stoker.serve.part import GRACE_SECONDS
from stoker.serve.processes import remembered_process
from stoker.settings.addresses import parse_host_port
from stoker.store.opening import is_migrated

if TYPE_CHECKING:
    from collections.abc import Callable

    from stoker.control import Hold
    from stoker.serve.processes import Detached
    from stoker.serve.run_files import RunFiles
    from stoker.settings.addresses import HostPort
    from stoker.settings.effective import Settings

_HAND_OVER_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class KeptGateway:
    """A gateway that goes on, and where it listens."""

    process: Detached
    address: HostPort


@dataclass(frozen=True, slots=True)
class KeptApi:
    """An API process that answers calls until another one does, and its address. Those ``before`` it end soon."""

    process: Detached
    before: tuple[Detached, ...]
    address: HostPort
    metrics: HostPort | None
    hold: Hold


class LeftProcesses:
    """What a killed server left running on one data folder."""

    def __init__(self, settings: Settings, files: RunFiles, say: Callable[[str], None]) -> None:
        self._settings = settings
        self._files = files
        self._say = say
        self._kept: list[Detached] = []

    async def api(self) -> KeptApi | None:
        """The API process, if it fits these settings. It begins no more work.

        It is ended where it can't run beside another one, such as when the database has to be migrated first.
        """
        process = remembered_process(self._files.api_process)
        where = self._settings.database, database_file(self._settings)
        if process is None or not await asyncio.to_thread(is_migrated, *where):
            await self.end_api()
            return None
        try:
            address = parse_host_port(self._files.api_address.read_text())
            content = json.loads(self._files.plan.read_text())["metrics"]
            metrics = None if content is None else parse_host_port(content)
        except (OSError, ValueError, KeyError, TypeError):
            await self.end_api()
            return None
        fits = _is_wanted(self._settings.server.listen_address, address) and (
            metrics is None
            if self._settings.observing.metrics_address is None
            else metrics is not None and _is_wanted(self._settings.observing.metrics_address, metrics)
        )
        # Another may answer, if the last supervisor died before the newest process was ready.
        fits = fits and await process_at(control_socket(self._settings)) == process.process_id
        hold = await hand_over(control_socket(self._settings), _HAND_OVER_SECONDS) if fits else None
        if hold is None:
            await self.end_api()
            return None
        one_before = remembered_process(self._files.api_predecessor)
        before = () if one_before is None or one_before == process else (one_before,)
        self._kept += [process, *before]
        return KeptApi(process, before, address, metrics, hold)

    async def end_api(self) -> None:
        """End the API process, and the one before it."""
        for file in (self._files.api_process, self._files.api_predecessor):
            process = remembered_process(file)
            if process is not None:
                await process.end(GRACE_SECONDS)
                self._say("ended the api of a server that was killed")

    async def gateway(self) -> KeptGateway | None:
        """The gateway, if it fits these settings.

        Running builds are connected through it. To stop it would break them.
        """
        process = remembered_process(self._files.gateway_process)
        if process is None:
            return None
        wanted = self._settings.server.gateway_address
        try:
            address = parse_host_port(self._files.gateway_address.read_text())
            configuration = self._files.gateway.read_text()
        except (OSError, ValueError):
            address, configuration = wanted, ""
        # The configuration may renew the certificate, which a running gateway would not notice.
        certificate = gateway_certificate_stamp(self._settings)
        fits = (
            _is_wanted(wanted, address)
            and configuration == gateway_configuration_at(address, self._settings)
            and certificate == gateway_certificate_stamp(self._settings)
        )
        if fits:
            self._kept.append(process)
            return KeptGateway(process, address)
        await process.end(GRACE_SECONDS)
        self._say("ended the gateway of a server that was killed")
        return None

    def kill(self) -> None:
        """End at once all that went on."""
        for process in self._kept:
            process.send(signal.SIGKILL)


def _is_wanted(wanted: HostPort, address: HostPort) -> bool:
    """Whether ``address`` is what the settings name, which with port 0 is any port."""
    return address.host == wanted.host and wanted.port in {0, address.port}
