"""Passwords, kept as Argon2id hashes (RFC 9106)."""

from __future__ import annotations

import asyncio

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

_AT_ONCE = 2


class Passwords:
    """Hashes and verifies passwords, a few at once and off the event loop: each takes 64 MiB and some 50 ms."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher()
        self._free = asyncio.Semaphore(_AT_ONCE)
        # Verified where there is no account, so that the time of an answer doesn't tell.
        self._nobody = self._hasher.hash("nobody's")

    async def hash(self, password: str) -> str:
        """What is to be stored."""
        async with self._free:
            return await asyncio.to_thread(self._hasher.hash, password)

    async def verify(self, password_hash: str | None, password: str) -> bool:
        """Whether a password is the one of that hash. Without a hash it isn't, and takes as long."""
        async with self._free:
            return await asyncio.to_thread(self._matches, password_hash, password)

    def _matches(self, password_hash: str | None, password: str) -> bool:
        try:
            return self._hasher.verify(password_hash or self._nobody, password) and password_hash is not None
        except (Argon2Error, InvalidHashError):
            return False
