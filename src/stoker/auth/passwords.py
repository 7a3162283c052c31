"""Passwords, stored as Argon2id hashes (RFC 9106)."""

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

    The threads have the lowest priority: strangers can trigger verifications, which must not delay calls and builds.
    """

    def __init__(self) -> None:
        self._hasher = PasswordHasher()
        self._threads = ThreadPoolExecutor(_AT_ONCE, "password", initializer=_lower_priority)
        # Verified if there is no account, so that response times don't reveal accounts.
        self._nobody = self._hasher.hash("nobody's")

    async def hash(self, password: str) -> str:
        """The hash to store."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._hasher.hash, password)

    async def verify(self, password_hash: str | None, password: str) -> bool:
        """Whether a password matches a hash. Without a hash the answer is no, after the same time."""
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
