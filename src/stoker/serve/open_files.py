"""How many connections a process can hold within the files that it may have open."""

from __future__ import annotations

import resource

# Databases, logs, listeners, event loops, calls to machines.
_OF_ITS_OWN = 128


def connections_within(wanted: int, files_each: int) -> int:
    """How many connections to take, ``wanted`` at most, so that those beyond are refused and none waits unanswered.

    Envoy accepts nothing while no file is left, which a client can't tell from a server that is slow.

    Args:
        wanted: the setting.
        files_each: what a connection may take: one, or two where it is passed on.
    """
    # Envoy raises the soft limit to the hard one.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most == resource.RLIM_INFINITY:
        return wanted
    return max(1, min(wanted, (most - _OF_ITS_OWN) // files_each))
