"""02: steps that choose another cgroup than their machine's, and fork and allocate there."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tests.attack.attacks.steps import build, last_said
from tests.attack.framework.attack import Attack, Attacker, Credential, Given
from tests.attack.framework.world import World
from tests.harness.contexts import HEADER, make_context, run

_PER_SECOND = 2
_NAME = "stoker-attack"
_SCRIPT = "echo it ran; for i in $(seq 300); do sleep 30 & done; head -c 200m /dev/zero | tail -c 1 >/dev/null; wait"


async def _choose(attacker: Attacker) -> None:
    context = Path(attacker.given["context"])
    while True:
        for parent in attacker.given["parents"]:
            await attacker.turn(_PER_SECOND)
            attacker.count("asked")
            built, output = await build(attacker, context, f"--opt=cgroup-parent={parent}")
            if attacker.over:
                return
            ran = built or last_said(output) == "it ran"
            attacker.count(f"ran in {parent}" if ran else "refused")
            if not ran and "cgroup" not in output:
                attacker.count(f"failed otherwise: {' '.join(output[-300:].split())}")


def _prepare(world: World) -> Given:
    context = make_context(world.folder / "cgroups", HEADER + run(_SCRIPT))
    given = world.build_with_endpoint()
    ((server,),) = world.server.query("select value from facts where name = 'server_id'")
    ((machine,),) = world.server.query("select id from machines where build_id = ?", given["build"])
    of_neighbours = (
        "select machines.id from machines join projects on projects.id = machines.project_id "
        "where projects.organization_id = ? limit 1"
    )
    ((neighbours,),) = world.server.query(of_neighbours, world.neighbours)
    own = f"/stoker/{server}/{machine}"
    parents = [
        f"{own}/../../../{_NAME}.slice:",
        f"{own}/buildkit/../../../../{_NAME}.slice:",
        f"{own}/./..//../../{_NAME}.slice:",
        f"{own}/../{neighbours}/buildkit/{_NAME}.slice:",
        f"/stoker/{server}/{neighbours}/{_NAME}.slice:",
        f"{own}/engine/{_NAME}.slice:",
        f"{own}/engine",
        f"{own}/buildkit/{_NAME}.slice:",
        f"/{_NAME}",
        f"{_NAME}.slice:",
        f"../../{_NAME}.slice:x",
    ]
    return given | {"context": str(context), "parents": parents}


def _nothing_is_outside(_: World, __: Given, tally: Counter[str]) -> None:
    outside = [str(path) for path in Path("/sys/fs/cgroup").glob(f"*/{_NAME}*")]
    outside += [str(path) for path in Path("/sys/fs/cgroup").glob(f"{_NAME}*")]
    assert outside == [], f"cgroups outside of the machine's: {outside}"
    ran = [what for what in tally if what.startswith("ran in")]
    assert ran == [], f"steps {ran}"


ATTACKS = [
    Attack("02", "steps in other cgroups", Credential.UNTRUSTED, _choose, _prepare, _nothing_is_outside, most=500)
]
