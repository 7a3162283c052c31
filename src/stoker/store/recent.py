"""A cache of rows, valid until the next commit.

Asking the database whether anything changed takes a fraction of reading a row again. No stale row is ever returned: the
first read after any commit, by any process, drops the whole cache. Where
the database can't tell without a question (PostgreSQL), nothing is cached.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from stoker.store.database import Database, Transaction

Key = TypeVar("Key")
Value = TypeVar("Value")

MOST_REMEMBERED = 10_000


class Recent(Generic[Key, Value]):
    """Caches rows by key. Misses are not cached, so that strangers can't fill the cache."""

    def __init__(
        self,
        database: Database,
        find: Callable[[Transaction, Key], Awaitable[Value | None]],
        most: int = MOST_REMEMBERED,
    ) -> None:
        self._database = database
        self._find = find
        self._most = most
        self._found: dict[Key, Value] = {}
        self._version: object = None

    async def get(self, key: Key) -> Value | None:
        """What the database has under a key now; None when there is nothing."""
        version = self._database.version()
        if version is None or version != self._version:
            self._found.clear()
            self._version = version
        known = self._found.get(key)
        if known is not None:
            return known
        async with self._database.read() as tx:
            found = await self._find(tx, key)
        # The row is at least as new as the version that was asked for before it, so the next look will be right.
        is_known = version is not None and version == self._version
        if found is not None and is_known and len(self._found) < self._most:
            self._found[key] = found
        return found
