"""Keep the nftables table of one server as `stoker.runtimes.process.network.firewall_rules` says it is to be.

Nobody else's tables are touched.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from stoker.runtimes.errors import HostUnfit, RuntimeFailed
from stoker.runtimes.process.network.firewall_rules import OF_BRIDGES, admission, emptied, removal, ruleset, services
from stoker.runtimes.programs import find_program, last_line, run

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stoker.domain.privileges import Network, Privileges
    from stoker.runtimes.process.network.firewall_rules import Admission, Services

_IP_FORWARD = Path("/proc/sys/net/ipv4/ip_forward")


class Firewall:
    """The nftables table of one server."""

    def __init__(
        self, server_id: str, allowed: tuple[Network, ...], denied: tuple[Network, ...], max_connections: int
    ) -> None:
        self.table = f"stoker_{server_id}"
        self._rules = ruleset(self.table, allowed, denied, max_connections)

    def prepare(self, machines: Iterable[Admission], given: Services) -> None:
        """Create or update the table for the machines that are there, and turn forwarding on.

        Raises:
            HostUnfit: nftables or forwarding can't be had.
        """
        try:
            script = emptied(self.table) + "".join(admission(self.table, machine) for machine in machines)
            self._nft(self._rules + script + services(self.table, given))
            if _IP_FORWARD.read_text().strip() != "1":
                _IP_FORWARD.write_text("1")
        except (RuntimeFailed, OSError) as error:
            raise HostUnfit(f"RUN steps can't be given a network ({error}); run as root with nftables") from error

    def admit(self, machine: Admission, given: Services) -> None:
        """Put a machine under the table's rules, and update the addresses that are allowed for all.

        Raises:
            RuntimeFailed: it could not be done.
        """
        script = services(self.table, given) + admission(self.table, machine)
        try:
            self._nft(script)
        except RuntimeFailed:
            # Somebody flushed the host's rules.
            self._nft(self._rules + script)

    def forget(self, bridge_name: str, engine: str | None, privileges: Privileges) -> None:
        """Remove a machine from the sets. One that isn't there is a success.

        Args:
            bridge_name: what its steps were attached to.
            engine: its engine's cgroup; None when that is gone, and nothing can be sent from it any more.
            privileges: with what it was admitted.

        Raises:
            RuntimeFailed: it could not be done.
        """
        if not self._exists():
            return
        script = removal(self.table, bridge_name, engine, privileges)
        for name, elements in self._of_bridges().items():
            ours = [element for element in elements if element.startswith(f'"{bridge_name}" ')]
            script += "".join(f"delete element inet {self.table} {name} {{ {element} }}\n" for element in ours)
        self._nft(script)

    def release(self) -> None:
        """Remove the table."""
        self._nft(f"add table inet {self.table}\ndelete table inet {self.table}\n")

    def _exists(self) -> bool:
        # Asking for the table itself would take any failure of nft for its absence, and leave a machine's elements.
        # Not as JSON: nft 1.0.6 is aborted on some hosts with many tables when it lists them that way.
        done = run([self._program(), "list", "tables", "inet"])
        if done.returncode != 0:
            raise RuntimeFailed(f"nft: {last_line(done.stderr)}")
        return f"table inet {self.table}" in done.stdout.splitlines()

    def _of_bridges(self) -> dict[str, list[str]]:
        """The elements that bridges have in the sets, as nft reads them.

        Set by set: nft looks through all of the host's cgroups for the name of each that is in what it lists.
        """
        found: dict[str, list[str]] = {}
        for name in (f"{name}{suffix}" for name in OF_BRIDGES for suffix in ("", "6")):
            done = run([self._program(), "-j", "list", "set", "inet", self.table, name])
            if done.returncode != 0:
                raise RuntimeFailed(f"nft: {last_line(done.stderr)}")
            listed = cast("list[dict[str, Any]]", json.loads(done.stdout)["nftables"])
            elements = [element for item in listed if "set" in item for element in item["set"].get("elem", [])]
            found[name] = [_element(*element["concat"]) for element in elements]
        return found

    def _nft(self, script: str) -> None:
        done = run([self._program(), "-f", "-"], script)
        if done.returncode != 0:
            raise RuntimeFailed(f"nft: {_first_error(done.stderr)}")

    def _program(self) -> str:
        return find_program("nft", package="nftables")


def _first_error(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if "Error" in line), last_line(text))


def _element(bridge_name: str, network: str | dict[str, Any]) -> str:
    if isinstance(network, str):
        return f'"{bridge_name}" . {network}'
    if "range" in network:
        return f'"{bridge_name}" . {"-".join(network["range"])}'
    return f'"{bridge_name}" . {network["prefix"]["addr"]}/{network["prefix"]["len"]}'
