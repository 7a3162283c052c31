"""Whether RUN steps can be given networks of their own on this host."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from stoker.domain.host import Finding, Verdict
from stoker.runtimes.errors import RuntimeFailed
from stoker.runtimes.process.host.cgroups import ENGINE_DEPTH, Cgroups
from stoker.runtimes.process.network.bridges import forwards_ipv6, read_host_addresses
from stoker.runtimes.process.network.cni_files import find_cni_plugins
from stoker.runtimes.programs import find_program, last_line, run

RUN_AS_ROOT = "run as root (sudo); in a container, give it all privileges"
# A bit of /proc/PID/status, CapEff (linux/capability.h).
_NET_ADMIN = 12
_TRIAL = """\
set -e
{ip} link add name stktrial type bridge
{ip} link add name stktrial1 type veth peer name stktrial2
{nft} -f - <<'END'
add table inet stoker_trial
add set inet stoker_trial sources {{ type ifname . ipv4_addr; flags interval; }}
add set inet stoker_trial sources6 {{ type ifname . ipv6_addr; flags interval; }}
add chain inet stoker_trial forward {{ type filter hook forward priority filter; policy accept; }}
add chain inet stoker_trial postrouting {{ type nat hook postrouting priority srcnat; policy accept; }}
add rule inet stoker_trial forward meta l4proto tcp ct state invalid reject with tcp reset
add rule inet stoker_trial postrouting oifname != "lo" masquerade
add set inet stoker_trial engines {{ type cgroupsv2; }}
add set inet stoker_trial engine_denied {{ type cgroupsv2 . ipv4_addr; flags interval; }}
add set inet stoker_trial proxies {{ type ipv4_addr . inet_service; }}
add element inet stoker_trial engines {{ "{engine}" }}
add chain inet stoker_trial output {{ type filter hook output priority filter; policy accept; }}
add rule inet stoker_trial output socket cgroupv2 level {depth} @engines fib daddr type local drop
END
{ip} link set lo up
{python} -I -c '{probe}' {processes}
"""
# Sends from within the engine's group, which the rule above must not let through. Some kernels look for the group from
# the host's root where the server has a cgroup namespace of its own, and find none.
_PROBE = """
import socket, sys
open(sys.argv[1], "w").write("0")
try:
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"", ("127.0.0.1", 9))
except PermissionError:
    sys.exit(0)
sys.exit("what BuildKit sends can not be told by its cgroup")
"""


def effective_capabilities(status: str) -> int:
    """The effective capabilities in a process's status (proc(5)), a bit each."""
    lines = (line.split() for line in status.splitlines())
    return next((int(words[1], 16) for words in lines if words and words[0] == "CapEff:"), 0)


def unisolated_for() -> Finding | None:
    """Why RUN steps can't be given networks of their own here; None when they can."""
    return next((found for check in (step_networks, forwarding) if (found := check()).verdict is Verdict.UNSAFE), None)


def step_networks() -> Finding:
    """Whether networks can be made, tried out in one that nobody else sees."""
    subject = "networks of steps"
    if not effective_capabilities(Path("/proc/self/status").read_text()) >> _NET_ADMIN & 1:
        return Finding(subject, Verdict.UNSAFE, "lacks CAP_NET_ADMIN", RUN_AS_ROOT)
    try:
        plugins = find_cni_plugins()
        ip, nft = find_program("ip", package="iproute2"), find_program("nft", package="nftables")
        unshare = find_program("unshare", package="util-linux")
        with Cgroups("trial").trial() as engine:
            if engine is None:
                advice = (
                    "mount cgroup v2 too: mkdir /sys/fs/cgroup/unified, mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified"
                )
                return Finding(subject, Verdict.UNSAFE, "no cgroup v2, by which BuildKit's own calls are told", advice)
            processes, name = engine
            parts = {"python": sys.executable, "probe": _PROBE, "processes": str(processes), "engine": name}
            done = run([unshare, "--net", "sh", "-c", _TRIAL.format(ip=ip, nft=nft, depth=ENGINE_DEPTH, **parts)])
    except (RuntimeFailed, OSError) as error:
        return Finding(subject, Verdict.UNSAFE, "can't be made", str(error))
    if done.returncode != 0:
        advice = "use a kernel with bridge, veth and nf_tables with NAT and matches of sockets"
        return Finding(subject, Verdict.UNSAFE, f"can't be made: {last_line(done.stderr)}", advice)
    return Finding(subject, Verdict.GOOD, f"bridge, veth, nftables; CNI plugins in {plugins}")


def forwarding() -> Finding:
    """Whether the host passes packets on."""
    subject, switch = "forwarding", Path("/proc/sys/net/ipv4/ip_forward")
    if switch.exists() and (switch.read_text().strip() == "1" or os.access(switch, os.W_OK)):
        is_on = switch.read_text().strip() == "1"
        return Finding(subject, Verdict.GOOD, "on" if is_on else "off; a server switches it on")
    return Finding(subject, Verdict.UNSAFE, "can't be switched on", "set net.ipv4.ip_forward to 1 with sysctl")


def ipv6() -> Finding:
    """Whether steps get IPv6."""
    subject = "IPv6 of steps"
    try:
        has_ipv6 = read_host_addresses().has_ipv6
    except RuntimeFailed as error:
        return Finding(subject, Verdict.WEAKER, "can't be told", str(error))
    if not has_ipv6:
        advice = "steps reach IPv4 only; give this host an IPv6 address that reaches further than its link"
        return Finding(subject, Verdict.WEAKER, "this host has none", advice)
    switches = [Path("/proc/sys/net/ipv6/conf/all/forwarding"), Path("/proc/sys/net/ipv6/conf/default/disable_ipv6")]
    if forwards_ipv6():
        return Finding(subject, Verdict.GOOD, "translated on its way out")
    if switches[1].read_text().strip() == "0" and os.access(switches[0], os.W_OK):
        return Finding(subject, Verdict.GOOD, "translated on its way out, once a server has run here")
    advice = (
        "steps reach IPv4 only; set net.ipv6.conf.all.forwarding to 1 and net.ipv6.conf.default.disable_ipv6 to 0 "
        "with sysctl"
    )
    return Finding(subject, Verdict.WEAKER, "can't be passed on", advice)
