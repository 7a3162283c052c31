"""The script that buildkitd calls to run a step: it checks the step's configuration, and then runs runc or crun."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from stoker.domain.privileges import Entitlement
from stoker.runtimes.process.engine.engine_files import tracing_socket
from stoker.runtimes.process.engine.interpreter import interpreter
from stoker.runtimes.process.engine.step_config.rules import StepRules
from stoker.runtimes.process.host.cgroups import STEPS_GROUP
from stoker.runtimes.programs import find_program

if TYPE_CHECKING:
    from stoker.domain.privileges import Privileges
    from stoker.runtimes.process.config import ProcessRuntimeConfig
    from stoker.runtimes.process.engine.engine_files import MachineFolder

_STEP_SCORE = 500
_BTRFS_TYPE = 0x94
_COPYING = (0x40049409, 0x4020940D, 0xC0189436)  # FICLONE, FICLONERANGE, FIDEDUPERANGE (linux/fs.h)
# In the volume, fixed in BuildKit (util/network/cniprovider and proxyprovider).
_NETWORKS = "net"
_SECCOMP = Path("/proc/sys/kernel/seccomp/actions_avail")

_SOURCE = Path(__file__).resolve().parents[4]

# Only `run` starts a step; its last word is the step's id, which a build may choose, "run" too. buildkitd deletes the
# group afterwards, not before.
_SCRIPT = """\
#!/bin/sh
run= bundle= before= id=
for word; do
    [ "$before $word" != "run --bundle" ] || run=yes
    [ "$before" != --bundle ] || bundle=$word
    before=$word id=$word
done
[ "$run" ] || exec {runtime} "$@"
{check} "$bundle" "$id" || exit 1
{runtime} "$@"
code=$?
if [ "$code" != 0 ] && [ -r "{events}" ]; then
    while read -r name count; do
        [ "$name" = oom_kill ] && [ "$count" -gt 0 ] || continue
        echo "stoker: the machine ran out of memory, so the kernel killed something in this step;" \\
            "give the project larger hardware, or let it run less at once" >&2
    done <"{events}"
fi
[ "$code" = 0 ] || {explain}
exit "$code"
"""
# Without `site`, and nothing of the environment or the folder that it is in.
_CALL = (
    "import sys; sys.path.append(sys.argv.pop(1)); from stoker.runtimes.process.engine.step_config.{} import main; "
    "sys.exit(main(*sys.argv[1:]))"
)


def programs(config: ProcessRuntimeConfig) -> list[Path]:
    """The folders of all programs that the script runs, where other users may have no access to them."""
    given = [] if config.container_runtime is None else [config.container_runtime.parent]
    return [*given, Path(interpreter()).parents[1], _SOURCE]


def container_runtime_script(
    folder: MachineFolder, program: Path | None, memory_events: Path | None, *, in_user_namespace: bool
) -> str:
    """What buildkitd calls instead of runc or crun.

    It keeps their state in the machine's folder, so that nothing is left in /run after a hard kill. It runs a step only
    as the machine's `StepRules` allow. It writes to the step's log when the kernel killed a process for memory.

    Args:
        folder: the machine's folder.
        program: runc or crun; None for this host's.
        memory_events: the file that counts kills in the group of the step ``$id``; None where memory isn't limited.
        in_user_namespace: whether a failed step's log explains what the user namespace may have to do with it.
    """
    runtime = str(program or find_program("runc", "crun", package="runc"))
    call = [interpreter(), "-I", "-S", "-c"]
    check = [*call, _CALL.format("main"), str(_SOURCE), str(folder.step_rules)]
    explain = shlex.join([*call, _CALL.format("explanation"), str(_SOURCE)])
    return _SCRIPT.format(
        runtime=shlex.join([runtime, "--root", str(folder.container_state)]),
        check=shlex.join(check),
        explain=f'{explain} "$bundle"' if in_user_namespace else ":",
        events="" if memory_events is None else memory_events,
    )


def written_step_rules(
    folder: MachineFolder, privileges: Privileges, *, volume: Path, view: Path, cgroup: str, isolated: bool
) -> str:
    """The file of the rules of a machine's steps.

    They take the place of btrfs's own ioctls in seccomp profiles, because subvolumes would not count towards the
    volume's cap; and let the kernel kill steps before buildkitd when memory is short.

    Args:
        folder: the machine's folder.
        privileges: what its project may do beyond others.
        volume: where the engine keeps all that it has.
        view: where the machine sees its folder.
        cgroup: the machine's group, as steps name it.
        isolated: whether steps have networks of their own.
    """
    kept = {str(volume), str(volume.resolve())}
    rules = StepRules(
        cgroup=f"{cgroup}/{STEPS_GROUP}",
        networks=str(volume / _NETWORKS),
        sources=sorted(kept | {str(folder.temporary), str(folder.temporary.resolve())}),
        tracing_socket=str(tracing_socket(view)),
        insecure=Entitlement.SECURITY_INSECURE in privileges.entitlements,
        host_network=not isolated or Entitlement.NETWORK_HOST in privileges.entitlements,
        seccomp=_SECCOMP.exists(),
        ioctls=_ioctl_rules(),
        score=_STEP_SCORE,
    )
    return json.dumps(rules.fields())


def _ioctl_rules() -> list[object]:
    """Rules of a seccomp profile (OCI runtime-spec, config-linux.md) that allow all ioctls but those of btrfs.

    Their numbers have a type in bits 8 to 15 (ioctl(2)). It is another's when one of its bits is; seccomp can't say
    "not equal" of a part. Copying by reference is allowed: three calls that other file systems have too.
    """
    bits = [(1 << bit, (_BTRFS_TYPE << 8 ^ 1 << bit) & 1 << bit) for bit in range(8, 16)]
    others = [{"index": 1, "value": mask, "valueTwo": expected, "op": "SCMP_CMP_MASKED_EQ"} for mask, expected in bits]
    copying = [{"index": 1, "value": call, "op": "SCMP_CMP_EQ"} for call in _COPYING]
    return [{"names": ["ioctl"], "action": "SCMP_ACT_ALLOW", "args": [rule]} for rule in (*others, *copying)]
