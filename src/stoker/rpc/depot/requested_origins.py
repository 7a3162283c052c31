"""Decodes what the depot CLI says of a build's origin when it creates the build."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stoker._gen.depot.cli.v1.build_pb import Command
from stoker.domain.sent_origins import RequestedTarget, origin_of_request

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stoker._gen.depot.cli.v1.build_pb import BuildOptions
    from stoker.domain.build_origins import BuildOrigin

_COMMANDS = {
    Command.BUILD: "build",
    Command.BAKE: "bake",
    Command.BUILDX: "buildx",
    Command.DAGGER: "dagger",
    Command.EXEC: "exec",
    Command.FLYCTL: "flyctl",
}


def requested_origin(options: Sequence[BuildOptions]) -> BuildOrigin:
    """The origin of a build with these options, which are one for each of its targets."""
    command = _COMMANDS.get(options[0].command, "") if options else ""
    return origin_of_request(command, [_target(one) for one in options])


def _target(options: BuildOptions) -> RequestedTarget:
    return RequestedTarget(
        name=options.target_name,
        tags=options.tags,
        outputs=[output.kind for output in options.outputs],
        pushes=options.push,
        loads=options.load,
    )
