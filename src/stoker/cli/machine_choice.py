"""Which machine builds for the platforms that are asked for."""

from __future__ import annotations

import os

from stoker.cli.terminal import Problem
from stoker.domain.platforms import Platform

_ARM_NAMES = ("aarch64", "arm64")


def machine_platform(platforms: tuple[str, ...]) -> Platform:
    """The machine to build on: the only platform's own, else this host's, which emulates the others.

    Raises:
        Problem: there are no machines for one of them.
    """
    known = {platform.architecture: platform for platform in Platform}
    wanted = {platform: platform.partition("/")[2].partition("/")[0] for platform in platforms}
    for platform, architecture in wanted.items():
        if architecture not in known:
            raise Problem(f"there are no machines for {platform}", f"use one or more of: {', '.join(Platform)}")
    own = "arm64" if os.uname().machine in _ARM_NAMES else "amd64"
    architectures = set(wanted.values())
    return known[architectures.pop() if len(architectures) == 1 else own]
