from __future__ import annotations

import json
import os
import subprocess
from ipaddress import IPv4Network, IPv6Network
from typing import TYPE_CHECKING

from stoker.runtimes.process.engine.engine_files import MachineFolder
from stoker.runtimes.process.network.bridges import Bridge
from stoker.runtimes.process.network.cni_files import find_cni_plugins, network_config, write_cni_plugins

if TYPE_CHECKING:
    from pathlib import Path

BRIDGE = Bridge("stk0", IPv4Network("10.210.0.0/25"), 1400, IPv6Network("fd00:1::/96"))
ONE_ADDRESS = Bridge("stk0", IPv4Network("10.210.0.0/30"), 1400)


def asked(folder: MachineFolder, bridge: Bridge, step: str) -> subprocess.CompletedProcess[str]:
    """Ask the plugin that gives addresses, as `bridge` asks it (CNI specification, delegated execution)."""
    config = json.loads(network_config(folder, bridge))
    plugin = {"cniVersion": config["cniVersion"], "name": config["name"], **config["plugins"][0]}
    environment = {
        "PATH": os.environ["PATH"],
        "CNI_COMMAND": "ADD",
        "CNI_CONTAINERID": step,
        "CNI_NETNS": "/proc/self/ns/net",
        "CNI_IFNAME": "eth0",
        "CNI_PATH": str(folder.network_plugins),
    }
    return subprocess.run(
        [folder.network_plugins / plugin["ipam"]["type"]],
        input=json.dumps(plugin),
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def made(path: Path) -> MachineFolder:
    folder = MachineFolder(path)
    folder.network_plugins.mkdir()
    write_cni_plugins(folder)
    return folder


def test_a_step_has_a_way_out_over_ipv6_but_no_gateway_for_which_plugins_would_wait(tmp_path: Path) -> None:
    answer = json.loads(asked(made(tmp_path), BRIDGE, "one").stdout)

    assert [(given["address"], given["gateway"]) for given in answer["ips"]] == [
        ("10.210.0.2/25", "10.210.0.1"),
        ("fd00:1::2/96", ""),
    ]
    assert answer["routes"] == [{"dst": "0.0.0.0/0"}, {"dst": "::/0", "gw": "fd00:1::1"}]


def test_no_two_steps_have_the_same_address(tmp_path: Path) -> None:
    folder = made(tmp_path)

    answers = [json.loads(asked(folder, BRIDGE, step).stdout) for step in ("one", "two")]

    assert len({given["address"] for answer in answers for given in answer["ips"]}) == 4


def test_what_cnis_own_plugin_refuses_is_refused_with_its_words(tmp_path: Path) -> None:
    folder = made(tmp_path)
    asked(folder, ONE_ADDRESS, "one")

    refused = asked(folder, ONE_ADDRESS, "two")

    assert refused.returncode != 0
    assert "no IP addresses available" in json.loads(refused.stdout)["msg"]


def test_the_other_plugins_are_cnis_own(tmp_path: Path) -> None:
    plugins = made(tmp_path).network_plugins

    assert {plugin.name for plugin in plugins.iterdir() if plugin.is_symlink()} == {"bridge", "loopback"}
    assert (plugins / "bridge").resolve() == (find_cni_plugins() / "bridge").resolve()
