"""The process of an attacker: ``python -m tests.attack.framework.attacker MODULE NUMBER``, told more on standard input.

It runs at the lowest priority. Attacker, server and neighbours share the host's processors, and what is to be measured
is how the server shares itself, not how the kernel shares them.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import os
import resource
import sys

from tests.attack.framework.attack import Attack, Attacker, AttackOver

LOWEST_PRIORITY = 19
_GRACE_SECONDS = 25.0


async def _run(attack: Attack, attacker: Attacker) -> None:
    with contextlib.suppress(TimeoutError, AttackOver):
        async with asyncio.timeout(attacker.seconds + _GRACE_SECONDS):
            await attack.run(attacker)


def main() -> None:
    os.setpriority(os.PRIO_PROCESS, 0, LOWEST_PRIORITY)
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    attack: Attack = importlib.import_module(sys.argv[1]).ATTACKS[int(sys.argv[2])]
    order = json.load(sys.stdin)
    attacker = Attacker(tuple(order["api"]), order["seconds"], order["given"], order["seed"], attack.most)
    asyncio.run(_run(attack, attacker))
    json.dump(attacker.tally, sys.stdout)


if __name__ == "__main__":
    main()
