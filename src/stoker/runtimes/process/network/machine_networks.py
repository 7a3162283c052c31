"""The network of each machine's steps: its bridge, and the rules for it and for the engine's own sockets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stoker.domain.privileges import NO_PRIVILEGES
from stoker.runtimes.errors import MachineStartFailed
from stoker.runtimes.process.engine.engine_files import MachineFolder
from stoker.runtimes.process.host.privileges import read_privileges
from stoker.runtimes.process.network.bridges import Bridge, Bridges, forward_ipv6
from stoker.runtimes.process.network.cni_files import find_cni_plugins
from stoker.runtimes.process.network.firewall import Firewall
from stoker.runtimes.process.network.firewall_rules import Address, Admission, Services
from stoker.runtimes.process.network.links import Loopback, make_link
from stoker.runtimes.process.network.proxies import proxies
from stoker.runtimes.process.network.resolvers import engine_resolvers, host_resolvers
from stoker.runtimes.programs import find_program

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future
    from pathlib import Path

    from stoker.domain.privileges import Privileges
    from stoker.runtimes.contract import MachineSpec
    from stoker.runtimes.process.config import ProcessRuntimeConfig
    from stoker.runtimes.process.host.cgroups import Cgroups


class MachineNetworks:
    """The networks of one server's machines."""

    def __init__(self, config: ProcessRuntimeConfig, machines: Path, cgroups: Cgroups) -> None:
        self._config = config
        self._machines = machines
        self._cgroups = cgroups
        self._bridges = Bridges(
            config.server_id, config.network_pool, config.subnet_prefix, config.run_folder, ipv6=config.ipv6
        )
        self._firewall = Firewall(
            config.server_id, config.allowed_networks, config.denied_networks, config.max_connections
        )
        self._proxies = frozenset[tuple[Address, int]]()

    def prepare(self) -> tuple[str, ...]:
        """Make the rules, for the machines that run too; what operators are to be told.

        Raises:
            HostUnfit: networks can't be had here.
        """
        find_program("ip", package="iproute2")
        find_cni_plugins()
        warnings: tuple[str, ...] = ()
        # Locked, so that a machine that is being started is either not yet in the sets or has its bridge.
        with self._bridges.choosing() as host:
            if self._config.ipv6 and host.has_ipv6:
                try:
                    forward_ipv6()
                except OSError as error:
                    warnings = (f"RUN steps have no IPv6: the host can't pass it on ({error.strerror})",)
            machines = {name: machine_id for machine_id, name in self._bridges.machines().items()}
            present = [self._present(machines[bridge.name], bridge) for bridge in self._bridges.present(host)]
            self._proxies = proxies()
            self._firewall.prepare([one for one in present if one is not None], self._services())
        return warnings

    def connect(
        self,
        spec: MachineSpec,
        chosen: Future[Bridge],
        grouped: Future[list[Path]],
        beside: Executor,
        entered: Future[int] | None = None,
    ) -> None:
        """Make a machine's bridge, or its link, and the rules without which nothing may use it.

        Args:
            spec: the machine.
            chosen: gets the bridge as soon as it is chosen, before it is made.
            grouped: done when its cgroups are there.
            beside: where the rules are made meanwhile.
            entered: the first process of a machine that has its own namespaces, when they are there.

        Raises:
            RuntimeFailed: it could not be done.
        """
        machine_id = spec.machine_id
        try:
            self._forget_bridge(machine_id)
            with self._bridges.choosing() as host:
                bridge = self._bridges.choose(machine_id, host, routed=entered is not None)
                # Changing rules takes the kernel as long as all the rest, so it goes on beside it.
                admission = beside.submit(self._admit, spec, bridge, grouped)
                chosen.set_result(bridge)
                if entered is None:
                    self._bridges.create(machine_id, bridge)
                else:
                    loopback = self._loopback(spec.privileges)
                    make_link(bridge, self._bridges.alias(machine_id), entered.result(), loopback)
        except BaseException as error:
            if not chosen.done():
                chosen.set_exception(error)
            raise
        admission.result()

    def disconnect(self, machine_id: str, *, with_rules: bool) -> bool:
        """Remove a machine's bridge, and what the rules know of it. False when the bridge is still there.

        To be called while the engine's cgroup is there: without it, its elements have no name.

        Raises:
            RuntimeFailed: the rules could not be changed.
        """
        is_deleted = self._bridges.delete(machine_id)
        if with_rules:
            engine = self._cgroups.engine_group(machine_id)
            self._firewall.forget(self._bridges.name(machine_id), engine, self._kept_privileges(machine_id))
        return is_deleted

    def release(self) -> None:
        """Remove all rules.

        Raises:
            RuntimeFailed: they could not be removed.
        """
        self._firewall.release()

    def machines(self) -> frozenset[str]:
        """Ids of the machines that have a bridge."""
        return frozenset(self._bridges.machines())

    def _forget_bridge(self, machine_id: str) -> None:
        if not self._bridges.delete(machine_id):
            raise MachineStartFailed(f"the bridge of machine {machine_id}'s last run can't be deleted")

    def _admit(self, spec: MachineSpec, bridge: Bridge, grouped: Future[list[Path]]) -> None:
        grouped.result()
        engine = self._cgroups.engine_group(spec.machine_id)
        if engine is None:
            raise MachineStartFailed(
                f"machine {spec.machine_id} has no cgroup of version 2, by which its engine is known"
            )
        self._firewall.admit(self._admission(bridge, engine, spec.privileges), self._services())

    def _present(self, machine_id: str, bridge: Bridge) -> Admission | None:
        """What the firewall admits of a running machine; None when its engine's cgroup is gone."""
        engine = self._cgroups.engine_group(machine_id)
        return None if engine is None else self._admission(bridge, engine, self._kept_privileges(machine_id))

    def _admission(self, bridge: Bridge, engine: str, privileges: Privileges) -> Admission:
        return Admission(bridge, engine, privileges, not self._loopback(privileges).is_empty())

    def _services(self) -> Services:
        steps = self._config.name_servers or host_resolvers()
        return Services(steps, engine_resolvers(), self._proxies)

    def _loopback(self, privileges: Privileges) -> Loopback:
        allowed = (*self._config.allowed_networks, *privileges.allowed_networks)
        addresses = [address for address in engine_resolvers() if address.version == 4 and address.is_loopback]
        return Loopback(
            tuple(network for network in allowed if network.version == 4 and network.is_loopback),
            tuple((address, port) for address, port in self._proxies if address.version == 4 and address.is_loopback),
            tuple(addresses) if not host_resolvers() else (),
        )

    def _kept_privileges(self, machine_id: str) -> Privileges:
        """What a machine was started with, not what its project has now: a change counts from the next start."""
        try:
            return read_privileges(MachineFolder(self._machines / machine_id).privileges.read_text())
        except (FileNotFoundError, NotADirectoryError):
            return NO_PRIVILEGES
