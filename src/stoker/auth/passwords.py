"""Passwords, kept as Argon2id hashes (RFC 9106)."""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

_AT_ONCE = 2
_LOW_PRIORITY = 10


class Passwords:
    """Hashes and verifies passwords, a few at once and off the event loop: each takes 64 MiB and some 50 ms.

    They yield to everything else: strangers may have guesses verified, which must not delay calls and builds.
    """

    def __init__(self) -> None:
        self._hasher = PasswordHasher()
        self._threads = ThreadPoolExecutor(_AT_ONCE, "password", initializer=_lower_priority)
        # Verified where there is no account, so that the time of an answer doesn't tell.
        self._nobody = self._hasher.hash("nobody's")

    async def hash(self, password: str) -> str:
        """What is to be stored."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._hasher.hash, password)

    async def verify(self, password_hash: str | None, password: str) -> bool:
        """Whether a password is the one of that hash. Without a hash it isn't, and takes as long."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._matches, password_hash, password)

    def _matches(self, password_hash: str | None, password: str) -> bool:
        try:
            return self._hasher.verify(password_hash or self._nobody, password) and password_hash is not None
        except (Argon2Error, InvalidHashError):
            return False


def _lower_priority() -> None:
    """Lower this thread's priority, which the threads that Argon2 starts in it inherit (setpriority(2), Linux)."""
    thread = threading.get_native_id()
    os.setpriority(os.PRIO_PROCESS, thread, max(_LOW_PRIORITY, os.getpriority(os.PRIO_PROCESS, thread)))
