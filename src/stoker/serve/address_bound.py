"""Limits the connections of one address to the API. The kernel counts them, because Envoy has no such limit.

The rule is in an nftables table that belongs to a process of nft (flag ``owner``). When that process ends, the kernel
drops the table. It ends when this process ends, because its input is closed then.
"""

from __future__ import annotations

import asyncio
import subprocess
from contextlib import suppress
from ipaddress import ip_address
from typing import TYPE_CHECKING

from stoker.runtimes.errors import HostUnfit, RuntimeFailed
from stoker.runtimes.programs import find_program, last_line, run

if TYPE_CHECKING:
    from stoker.settings.addresses import HostPort
    from stoker.settings.effective import Settings

_LOOKS = 100
_END_SECONDS = 5.0
_LOOK_SECONDS = 0.1
_LEAST_SHARES = 4
_NOWHERE = subprocess.DEVNULL
_COUNTED = "ct count over"
# What one customer of a provider is given (RFC 6177).
_NETWORK = "ffff:ffff:ffff:ffff::"


def connections_each(settings: Settings, together: int) -> int | None:
    """How many of all connections one address may have. None for no limit: behind proxies, which connect for all."""
    if settings.api.trusted_proxies > 0:
        return None
    return max(1, min(settings.api.max_api_connections_per_address, together // _LEAST_SHARES))


def connection_rules(table: str, address: HostPort, most: int) -> str:
    """The nft script of a table that refuses a caller's new connections to one of our addresses beyond ``most``."""
    to, versions = _destination(address.host)
    rules = {"callers": "ip saddr", "callers6": f"ip6 saddr and {_NETWORK}"}
    lines = [
        f"add table inet {table} {{ flags owner; }}",
        f"add chain inet {table} input {{ type filter hook input priority filter - 20; policy accept; }}",
    ]
    for version, (name, caller) in zip((4, 6), rules.items(), strict=True):
        if version not in versions:
            continue
        kind = f"ipv{version}_addr"
        new = f"{to}tcp dport {address.port} ct state new"
        counted = f"add @{name} {{ {caller} {_COUNTED} {most} }} reject with tcp reset"
        lines.append(f"add set inet {table} {name} {{ type {kind}; size 65535; flags dynamic; }}")
        lines.append(f"add rule inet {table} input {new} {counted}")
    return "\n".join(lines) + "\n"


def _destination(host: str) -> tuple[str, tuple[int, ...]]:
    """The match for packets to a host, and the versions of IP that they may have."""
    try:
        address = ip_address(host)
    except ValueError:
        return "", (4, 6)
    if address.is_unspecified:
        return "", (4, 6)
    return f"{'ip' if address.version == 4 else 'ip6'} daddr {address} ", (address.version,)


def lacking_to_bound(rules: str) -> str | None:
    """Why this host can't have such rules, or None. Changes nothing."""
    try:
        tried = run([find_program("nft", package="nftables"), "-c", "-f", "-"], rules)
    except (HostUnfit, RuntimeFailed) as error:
        return _unbounded(str(error))
    return None if tried.returncode == 0 else _unbounded(last_line(tried.stderr))


class AddressBound:
    """Keeps the rule for as long as it isn't released."""

    def __init__(self, server_id: str, address: HostPort, most: int) -> None:
        self._table = f"stoker_{server_id}_api"
        self._rules = connection_rules(self._table, address, most)
        self._process: asyncio.subprocess.Process | None = None

    async def hold(self) -> str | None:
        """Limit connections from now on. Returns why not, if this host can't."""
        # The nft that stays doesn't tell what it can't do.
        lacking = await asyncio.to_thread(lacking_to_bound, self._rules)
        if lacking is not None:
            return lacking
        nft = find_program("nft", package="nftables")
        try:
            # Away from the terminal's Ctrl-C, so that the rule holds while the server stops.
            self._process = await asyncio.create_subprocess_exec(
                nft, "-i", stdin=subprocess.PIPE, stdout=_NOWHERE, stderr=_NOWHERE, start_new_session=True
            )
            _input_of(self._process).write(self._rules.encode())
            for _ in range(_LOOKS):
                if await self._is_held(nft):
                    return None
                await asyncio.sleep(_LOOK_SECONDS)
        except OSError as error:
            await self.release()
            return _unbounded(str(error))
        await self.release()
        return _unbounded("nft made no such rule")

    async def release(self) -> None:
        """Let the kernel drop the rule."""
        process, self._process = self._process, None
        if process is None:
            return
        _input_of(process).close()
        try:
            async with asyncio.timeout(_END_SECONDS):
                await process.wait()
        except TimeoutError:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _is_held(self, nft: str) -> bool:
        command = (nft, "list", "chain", "inet", self._table, "input")
        listing = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, stderr=_NOWHERE)
        said, _ = await listing.communicate()
        return said.count(_COUNTED.encode()) == self._rules.count(_COUNTED)


def _unbounded(why: str) -> str:
    return f"connections of one address to the API are not bounded ({why}); run as root with nftables"


def _input_of(process: asyncio.subprocess.Process) -> asyncio.StreamWriter:
    if process.stdin is None:
        raise OSError("it has no input")
    return process.stdin
