"""A step that holds as many connections as it can takes no place of others in the host's table of connections."""

from __future__ import annotations

import re
from ipaddress import IPv4Network
from typing import TYPE_CHECKING

import pytest

from tests.contract.machine_host import Built, MachineHost, internet, write_context

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MOST = 40
TRIED = 120


def counts(built: Built) -> dict[str, int]:
    assert built.code == 0, built.text
    said = re.findall(r"^#\d+ [\d.]+ (held|refused)$", built.text, re.MULTILINE)
    return {word: said.count(word) for word in ("held", "refused")}


def holding(address: str, connections: int, seconds: int) -> str:
    """Connect, and say whether that connection still stood when all had been tried."""
    one = f"if (sleep {seconds}) | nc -w 60 {address} 80 >/dev/null 2>&1; then echo held; else echo refused; fi"
    return f"for i in $(seq {connections}); do ({one}) & done; wait"


@pytest.mark.bound("max_machine_connections")
async def test_a_machine_has_a_bounded_number_of_connections(
    new_host: Callable[..., MachineHost], tmp_path: Path
) -> None:
    with internet() as net:
        host = new_host(max_connections=MOST, allowed_networks=(IPv4Network(f"{net.allowed}/32"),))
        await host.runtime.prepare_host()
        attacker, other = await host.start_ready("attacker", "attacker"), await host.start_ready("other", "other")
        context = write_context(tmp_path / "attack", holding(net.allowed, TRIED, 12))

        async with attacker.building(context, r"^#\d+ [\d.]+ refused$"):
            neighbour = await other.build(write_context(tmp_path / "neighbour", holding(net.allowed, MOST // 2, 1)))
            assert counts(neighbour) == {"held": MOST // 2, "refused": 0}

        again = counts(await attacker.build(context, "--no-cache"))
        assert again["held"] + again["refused"] == TRIED
        # What was held a moment ago may still be counted; beyond the first, a fifth of them is let in each second.
        assert 0 < again["held"] <= MOST
