"""15: an untrusted build that fills its disk."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tests.attack.attacks.steps import build, last_said
from tests.attack.framework.attack import Attack, Attacker, Credential, Given
from tests.attack.framework.world import World
from tests.harness.contexts import HEADER, make_context, run

_FILL = (
    "for i in $(seq 2000); do dd if=/dev/zero of=/full-$i bs=1M count=16 2>/dev/null || break; "
    "echo wrote $i times 16 MiB; done; echo full; sleep 600"
)


async def _fill(attacker: Attacker) -> None:
    async def fill() -> str:
        _, output = await build(attacker, Path(attacker.given["context"]))
        return f"the step {last_said(output)}"

    while not attacker.over:
        await attacker.turn(1)
        await attacker.attempt(fill())


def _prepare(world: World) -> Given:
    context = make_context(world.folder / "disk", HEADER + run(_FILL))
    return world.build_with_endpoint() | {"context": str(context)}


def _there_is_room(world: World, _: Given, __: Counter[str]) -> None:
    made = world.server.call("depot.build.v1.BuildService/CreateBuild", {"projectId": world.server.project})
    assert made.status == 200, f"a neighbour's build is refused: {made.message}"
    world.server.call("depot.build.v1.BuildService/FinishBuild", {"buildId": made.body["buildId"], "success": {}})


ATTACKS = [Attack("15", "an untrusted build fills its disk", Credential.UNTRUSTED, _fill, _prepare, _there_is_room)]
