"""What the store and the services need of a database. `stoker.store.engines` has those that there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from sqlalchemy import CursorResult, Executable, Row

    from stoker.store.locks import Lock

Item = TypeVar("Item")


class Transaction(Protocol):
    """A transaction that is going on."""

    @property
    def dialect(self) -> Literal["sqlite", "postgresql"]:
        """The dialect of SQL, for the few statements that differ."""
        ...

    async def execute(self, statement: Executable, parameters: Mapping[str, object] | None = None) -> CursorResult[Any]:
        """Run a statement. Read its result before the next one.

        Args:
            statement: what to run. Putting one together takes several times as long as running it, so those on the path
                of every call are put together once, with names in place of what changes.
            parameters: what the names stand for.
        """
        ...

    async def scan(self, statement: Executable) -> list[Row[Any]]:
        """All rows of a statement that may look at a great many; a few such run at once, and others wait."""
        ...

    async def execute_apart(self, statement: Executable) -> int:
        """Run a statement that changes a great many rows, away from the event loop; how many it changed."""
        ...

    async def scan_into(
        self,
        statement: Executable,
        make: Callable[[Row[Any]], Item],
        cost_of: Callable[[Item], int] | None = None,
        most: int = 0,
    ) -> list[Item]:
        """What is made of each row of such a statement, one after the other.

        Args:
            statement: what to run.
            make: makes something of a row.
            cost_of: how much memory something takes, in bytes; the last one is that with which all take ``most``.
            most: how much memory all may take.
        """
        ...

    async def execute_many(self, statement: Executable, parameters: Sequence[Mapping[str, object]]) -> None:
        """Run a statement once for each of the parameters."""
        ...

    async def lock(self, lock: Lock, owner_id: str = "") -> None:
        """Wait until no other transaction holds a lock, and hold it until the end of this one.

        Take it before what is decided on is read, and before anything that it guards is written.

        Args:
            lock: what is locked.
            owner_id: of which project, organization or build; none for what there is once.

        Raises:
            LockOrderError: another lock should have been taken after this one.
        """
        ...

    def after_commit(self, action: Callable[[], None]) -> None:
        """Do something that must not fail once all of this is committed, and not at all when it isn't."""
        ...


class Database(Protocol):
    """Opens transactions. Nothing slow may happen inside one.

    All methods report errors that are not the caller's fault as `Unavailable` or `ResourceExhausted`, with a hint.
    """

    def write(self, *, durable: bool = False) -> AbstractAsyncContextManager[Transaction]:
        """A transaction that commits when its block ends well and rolls back when it raises.

        Args:
            durable: for what a caller is told is done and could not find out otherwise: it outlives a power cut.
        """
        ...

    def read(self) -> AbstractAsyncContextManager[Transaction]:
        """A transaction that only reads; what it sees doesn't change while it lasts."""
        ...

    def version(self) -> object | None:
        """Another value after each commit, by whatever process; None where that can't be told without asking."""
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...
