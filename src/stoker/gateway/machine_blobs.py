"""Asks machines for the blobs of solves."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from stoker.buildkit.control import ControlFailed
from stoker.buildkit.history import blobs_of_solve
from stoker.domain.errors import Unavailable

if TYPE_CHECKING:
    from stoker.buildkit.control import ControlCredentials
    from stoker.domain.machines import Machine

_SECONDS = 10.0


class MachineBlobs:
    """Reads the digests that a machine's history lists for a solve."""

    def __init__(self, credentials: ControlCredentials) -> None:
        self._credentials = credentials

    async def __call__(self, machine: Machine, ref: str) -> frozenset[str]:
        """The digests; none for a solve without history.

        Raises:
            Unavailable: the machine did not answer.
        """
        if machine.placement is None:
            return frozenset()
        try:
            async with asyncio.timeout(_SECONDS):
                return await blobs_of_solve(machine.placement, machine.server_name, self._credentials, ref)
        except (ControlFailed, TimeoutError) as error:
            raise Unavailable("the build's machine did not say what it keeps of its solves; try again") from error
