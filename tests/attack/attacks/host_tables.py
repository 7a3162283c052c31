"""18: steps that use up the host's table of connections and its inotify instances."""

from __future__ import annotations

from pathlib import Path

from tests.attack.attacks.steps import build, last_said
from tests.attack.framework.attack import Attack, Attacker, Credential, Given
from tests.attack.framework.nowhere import ADDRESS, compile_static
from tests.attack.framework.world import World
from tests.harness.contexts import HEADER, make_context

_CONNECTIONS_A_SECOND = 20_000
_INSTANCES = 1000
_SOURCE = Path(__file__).with_name("host_tables.c")


async def _use_up(attacker: Attacker) -> None:
    async def use_up() -> str:
        _, output = await build(attacker, Path(attacker.given["context"]))
        return f"the step {last_said(output)}"

    while not attacker.over:
        await attacker.turn(1)
        await attacker.attempt(use_up())


def _prepare(world: World, *arguments: str) -> Given:
    folder = world.folder / f"tables-{arguments[0]}"
    step = ", ".join(f'"{one}"' for one in ("/attack", *arguments))
    context = make_context(folder, f"{HEADER}COPY attack /attack\nRUN [{step}]\n")
    compile_static(_SOURCE, context / "attack")
    return world.build_with_endpoint() | {"context": str(context)}


ATTACKS = [
    Attack(
        "18",
        "a step opens connections",
        Credential.UNTRUSTED,
        _use_up,
        lambda world: _prepare(world, "connections", ADDRESS, str(_CONNECTIONS_A_SECOND)),
    ),
    Attack(
        "18",
        "a step takes inotify instances",
        Credential.UNTRUSTED,
        _use_up,
        lambda world: _prepare(world, "inotify", str(_INSTANCES)),
    ),
]
