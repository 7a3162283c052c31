"""What programs under test inherit from whoever runs the tests."""

from __future__ import annotations

import os

_INHERITED = frozenset({"PATH", "LANG", "LC_ALL", "TZ", "TMPDIR", "USER", "LOGNAME", "SHELL"})


def plain_environment() -> dict[str, str]:
    """The few variables that every program needs.

    Clients behave otherwise where a variable such as ``CI`` or ``GITHUB_ACTIONS`` tells them that no person is
    there, so a test must not depend on where it runs.
    """
    return {name: value for name, value in os.environ.items() if name in _INHERITED}
