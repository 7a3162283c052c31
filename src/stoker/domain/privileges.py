"""What an operator allows or denies to the builds of single projects."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stoker.domain.machines import Machine

Network = IPv4Network | IPv6Network


class Entitlement(StrEnum):
    """BuildKit's name for privileges that a build requests and a machine allows."""

    NETWORK_HOST = "network.host"
    """Steps on the host's own network: all that the host reaches, and whatever listens on its loopback addresses."""
    SECURITY_INSECURE = "security.insecure"
    """Steps with all capabilities and devices and without seccomp: root of the host, for whoever wants to be."""


@dataclass(frozen=True, slots=True)
class Privileges:
    """The privileges of one project.

    Attributes:
        allowed_networks: ranges that steps may reach whatever the server's own rules say.
        denied_networks: ranges that they may not, which counts before what is allowed.
        entitlements: what builds may ask for.
    """

    allowed_networks: tuple[Network, ...] = ()
    denied_networks: tuple[Network, ...] = ()
    entitlements: frozenset[Entitlement] = frozenset()


NO_PRIVILEGES = Privileges()


def privileges_of(machine: Machine, given: Mapping[str, Privileges]) -> Privileges:
    """The privileges of a machine, from those ``given`` to its project. Untrusted builds keep only the denials."""
    privileges = given.get(machine.project_id, NO_PRIVILEGES)
    return privileges if machine.build_id is None else Privileges(denied_networks=privileges.denied_networks)
