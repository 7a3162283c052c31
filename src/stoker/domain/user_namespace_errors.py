"""What a build can't do on a machine in a user namespace, told from its error (docs/isolation.md)."""

from __future__ import annotations

import re

MOST_IDS = 65_536
"""How many user and group ids a machine has, from 0 on."""

# Go's errors of chown(2), from BuildKit (COPY, ADD, WORKDIR, cache mounts) and containerd (layers of images).
_OWNER = re.compile(r"chown\b.*: invalid argument", re.IGNORECASE)
# BuildKit says no more than this when it unpacks an archive that holds device nodes.
_DEVICE = re.compile(r"(?:^|: |= )operation not permitted\s*$", re.MULTILINE)
# Of a step it names the command.
_COMMAND = re.compile(r'process "(.*)" did not complete successfully', re.DOTALL)
_BEYOND = r"(?<![\d.])(?:6553[6-9]|655[4-9]\d|65[6-9]\d\d|6[6-9]\d{3}|[7-9]\d{4}|[1-9]\d{5,9})(?![\d.])"
_OWNING = re.compile(rf"\b(?:chown|chgrp|(?:user|group)(?:add|mod)|add(?:user|group))\b[^;&|\n]*{_BEYOND}")
_MAKING = re.compile(r"\bmknod\b")

_WAY = 'or ask the operator of this server for one with user_namespaces = "off"'
OWNER_HINT = f"machines of this server have the user and group ids 0 to {MOST_IDS - 1}; use one of these, {_WAY}"
"""What to do about an id beyond those of a machine."""
_DEVICE_HINT = f"machines of this server can't make device nodes; leave them out of archives and steps, {_WAY}"


def user_namespace_hint(error: str | None) -> str | None:
    """What to do about a build's error that a user namespace may have caused; None when it is another error."""
    if error is None:
        return None
    if _OWNER.search(error):
        return OWNER_HINT
    if _DEVICE.search(error):
        return _DEVICE_HINT
    command = _COMMAND.search(error)
    return None if command is None else command_hint(command[1])


def command_hint(command: str) -> str | None:
    """The same for the command of a failed step."""
    if _OWNING.search(command):
        return OWNER_HINT
    return _DEVICE_HINT if _MAKING.search(command) else None
