"""What the container runtime of a machine calls before it starts a step."""

from __future__ import annotations

import posix
import resource
import sys

from stoker.runtimes.process.engine.step_config.decision import allowed_config
from stoker.runtimes.process.engine.step_config.destinations import MountedFiles
from stoker.runtimes.process.engine.step_config.json_text import read_json, write_json
from stoker.runtimes.process.engine.step_config.refusal import Refused
from stoker.runtimes.process.engine.step_config.rules import StepRules

_UNLIMITED = 2**64 - 1


def main(rules_file: str, bundle: str, step_id: str) -> int:
    """Replace the step's configuration by the one that it may run with; the exit code, 1 when it may not run."""
    file = f"{bundle}/config.json"
    try:
        rules = StepRules(**_read(rules_file))  # pyright: ignore[reportCallIssue, reportArgumentType, reportGeneralTypeIssues]
        files = MountedFiles(f"{bundle}/rootfs", posix.readlink)
        config = allowed_config(_read(file), step_id, bundle, rules, files, _hard_limits())
        with open(file, "w", encoding="utf-8") as stream:  # noqa: PTH123 - slow to import
            stream.write(write_json(config))
    except (Refused, OSError, ValueError) as error:
        sys.stderr.write(f"stoker: {error}\n")
        return 1
    return 0


def _read(file: str) -> object:
    with open(file, encoding="utf-8") as stream:  # noqa: PTH123
        return read_json(stream.read())


def _hard_limits() -> dict[str, int]:
    """Of this process, which has them from buildkitd."""
    found: dict[str, int] = {}
    for name in dir(resource):
        if name.startswith("RLIMIT_"):
            hard = resource.getrlimit(getattr(resource, name))[1]
            found[name.removeprefix("RLIMIT_")] = _UNLIMITED if hard == resource.RLIM_INFINITY else hard
    return found
