"""What the container runtime of a machine in a user namespace calls after a step that failed."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from stoker.domain.user_namespace_errors import MOST_IDS, OWNER_HINT, command_hint


def main(bundle: str) -> int:
    """Write to the step's log what the user namespace may have had to do with the failure; the exit code, 0."""
    try:
        hint = _hint(json.loads(Path(bundle, "config.json").read_text())["process"])
    except (OSError, ValueError, TypeError, LookupError):
        return 0
    if hint is not None:
        sys.stderr.write(f"stoker: {hint}\n")
    return 0


def _hint(process: dict[str, Any]) -> str | None:
    user = process["user"]
    if max(user["uid"], user["gid"], *user.get("additionalGids", ())) >= MOST_IDS:
        return OWNER_HINT
    return command_hint(" ".join(process["args"]))
