"""The files that tell CNI how a machine's steps get their network: its configuration, and the plugins to use."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from stoker.runtimes.errors import HostUnfit

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

    from stoker.runtimes.process.engine.engine_files import MachineFolder
    from stoker.runtimes.process.network.bridges import Bridge

_FOLDERS = (Path("/usr/lib/cni"), Path("/opt/cni/bin"), Path("/usr/libexec/cni"))
_HOST_LOCAL = "host-local"
_TAKEN = ("bridge", "loopback")
_ADDRESSES = "stoker-addresses"

# Where there is an IPv6 gateway, bridge waits until the kernel says that nobody else has the address, and looks every
# 50 ms (SettleAddresses, containernetworking/plugins). On these bridges nobody can, and the kernel is told not to look;
# but it mostly says so just after the first look. So the way out is a route of the configuration instead.
_WITHOUT_GATEWAY = """\
#!/bin/sh
answer=$({plugin}) || {{ code=$?; printf '%s\\n' "$answer"; exit "$code"; }}
printf '%s\\n' "$answer" | sed 's/\\("gateway": *\\)"[^"]*:[^"]*"/\\1""/'
"""


def find_cni_plugins() -> Path:
    """The folder with the CNI plugins.

    Raises:
        HostUnfit: there is none.
    """
    for folder in _FOLDERS:
        if all((folder / plugin).exists() for plugin in (_HOST_LOCAL, *_TAKEN)):
            return folder
    raise HostUnfit("the CNI plugins are missing; install the package containernetworking-plugins")


def write_cni_plugins(folder: MachineFolder) -> None:
    """Write the machine's folder of plugins, new: what CNI's own are called there, and ours that gives addresses.

    Raises:
        HostUnfit: there are no plugins.
        OSError: they could not be written.
    """
    plugins = find_cni_plugins()
    for plugin in _TAKEN:
        (folder.network_plugins / plugin).symlink_to(plugins / plugin)
    addresses = folder.network_plugins / _ADDRESSES
    addresses.write_text(_WITHOUT_GATEWAY.format(plugin=shlex.quote(str(plugins / _HOST_LOCAL))))
    addresses.chmod(0o700)


def network_config(folder: MachineFolder, bridge: Bridge) -> str:
    """The CNI configuration: attach to the machine's own bridge, which has its addresses and rules already."""
    ranges = [[_range(bridge.subnet, bridge.gateway)]]
    routes = [{"dst": "0.0.0.0/0"}]
    if bridge.subnet6 is not None and bridge.gateway6 is not None:
        ranges.append([_range(bridge.subnet6, bridge.gateway6)])
        routes.append({"dst": "::/0", "gw": str(bridge.gateway6)})
    plugin = {
        "type": "bridge",
        "bridge": bridge.steps_device,
        "isGateway": False,
        "ipMasq": False,
        "mtu": bridge.mtu,
        "ipam": {"type": _ADDRESSES, "ranges": ranges, "routes": routes, "dataDir": str(folder.addresses)},
    }
    return json.dumps({"cniVersion": "0.4.0", "name": "stoker", "plugins": [plugin]}, indent=1)


def _range(subnet: IPv4Network | IPv6Network, gateway: IPv4Address | IPv6Address) -> dict[str, str]:
    """What steps get their addresses from: all that follows the gateway."""
    start = {} if gateway == subnet[1] else {"rangeStart": str(gateway + 1)}
    return {"subnet": str(subnet), **start, "gateway": str(gateway)}
