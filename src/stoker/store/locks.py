"""Locks that transactions take before they decide on what others may be changing.

SQLite has one writer at a time, so there they cost nothing. On PostgreSQL writers run side by side, and each statement
sees what was committed before it (READ COMMITTED): whoever decides on what it reads, and then writes, takes the lock of
it first. docs/database.md says what each lock guards.
"""

from __future__ import annotations

from enum import StrEnum


class Lock(StrEnum):
    """What can be locked, in the order in which a transaction takes its locks."""

    SERVER = "server"
    LOGINS = "logins"
    PEOPLE = "people"
    QUEUE = "queue"
    PROJECT = "project"
    ORGANIZATION = "organization"
    BUILD = "build"


_ORDER = {lock: place for place, lock in enumerate(Lock)}


class LockOrderError(Exception):
    """A transaction takes its locks in another order than all others, so they could wait for each other: a bug."""


class HeldLocks:
    """The locks that one transaction holds."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held: set[tuple[Lock, str]] = set()

    def add(self, lock: Lock, owner_id: str) -> bool:
        """Add a lock; False if it is held already.

        Raises:
            LockOrderError: it comes before one that is held, or is a second of its kind without the lock of the queue.
        """
        one = (lock, owner_id)
        if one in self._held:
            return False
        kinds = {held for held, _ in self._held}
        if any(_ORDER[held] > _ORDER[lock] for held in kinds) or (lock in kinds and Lock.QUEUE not in kinds):
            raise LockOrderError(f"{lock} after {', '.join(sorted(kinds))}; see docs/database.md")
        self._held.add(one)
        return True
