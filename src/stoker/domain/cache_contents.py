"""The contents of a layer cache, and what a policy would evict."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from stoker.domain.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from stoker.domain.cache_policy import CachePolicy
    from stoker.domain.platforms import Platform

MAX_POLICIES = 20


@dataclass(frozen=True, slots=True)
class CacheRecord:
    """One record of BuildKit's cache; ``kind`` is its record type, such as ``regular`` or ``exec.cachemount``."""

    id: str
    kind: str
    size_bytes: int
    created_at: datetime
    last_used_at: datetime | None
    uses: int
    in_use: bool
    description: str

    @property
    def idle_since(self) -> datetime:
        """When it was last used, or created."""
        return self.last_used_at or self.created_at


@dataclass(frozen=True, slots=True)
class CacheShare:
    """All records of one kind."""

    kind: str
    records: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Freed:
    """The bytes that a policy evicts: by age, then by size."""

    by_age_bytes: int
    by_size_bytes: int


@dataclass(frozen=True, slots=True)
class Outlook:
    """What one policy would evict; ``is_current`` marks the project's own policy."""

    policy: CachePolicy
    is_current: bool
    freed: Freed


@dataclass(frozen=True, slots=True)
class CacheContents:
    """The contents of one volume at one time."""

    taken_at: datetime
    records: tuple[CacheRecord, ...]


@dataclass(frozen=True, slots=True)
class CacheReport:
    """The contents of the cache of one (project, platform)."""

    platform: Platform
    contents: CacheContents
    outlooks: tuple[Outlook, ...]


def total_bytes(records: Iterable[CacheRecord]) -> int:
    """The size of all records."""
    return sum(record.size_bytes for record in records)


def shares(records: Iterable[CacheRecord]) -> list[CacheShare]:
    """The records by kind, the largest kind first."""
    kinds: dict[str, list[CacheRecord]] = defaultdict(list)
    for record in records:
        kinds[record.kind].append(record)
    found = [CacheShare(kind, len(group), total_bytes(group)) for kind, group in kinds.items()]
    return sorted(found, key=lambda share: (-share.size_bytes, share.kind))


def largest(records: Iterable[CacheRecord], count: int) -> list[CacheRecord]:
    """The ``count`` largest records, the largest first."""
    return sorted(records, key=lambda record: (-record.size_bytes, record.id))[:count]


def folded(records: Sequence[CacheRecord], limit: int) -> tuple[CacheRecord, ...]:
    """About ``limit`` records at most: beyond it the smallest of each kind are put together, as of their last use.

    So what is kept of a large cache is bounded, and its sums are right.
    """
    if len(records) <= limit:
        return tuple(records)
    ordered = largest(records, len(records))
    rest: dict[tuple[str, bool], list[CacheRecord]] = defaultdict(list)
    for record in ordered[limit:]:
        rest[record.kind, record.in_use].append(record)
    together = (
        CacheRecord(
            id="",
            kind=kind,
            size_bytes=total_bytes(group),
            created_at=min(record.created_at for record in group),
            last_used_at=max(record.idle_since for record in group),
            uses=max(record.uses for record in group),
            in_use=in_use,
            description=f"{len(group)} smaller records",
        )
        for (kind, in_use), group in rest.items()
    )
    return (*ordered[:limit], *together)


def freed_by(records: Sequence[CacheRecord], policy: CachePolicy, now: datetime) -> Freed:
    """What the two rules of a policy (age, then size) evict from these records.

    This is an estimate by sizes: BuildKit evicts a record only after those that build on it, so it may evict a little
    more.
    """
    droppable = sorted((record for record in records if not record.in_use), key=lambda record: record.idle_since)
    old: list[CacheRecord] = []
    if policy.keep_days:
        oldest = now - timedelta(days=policy.keep_days)
        old = [record for record in droppable if record.idle_since < oldest]
    surplus = total_bytes(records) - total_bytes(old) - policy.keep_bytes
    by_size = 0
    for record in droppable[len(old) :]:
        if by_size >= surplus:
            break
        by_size += record.size_bytes
    return Freed(total_bytes(old), by_size)


def checked_policies(policies: Sequence[CachePolicy]) -> None:
    """Check hypothetical policies.

    Raises:
        InvalidInput: there are too many, or a number is negative.
    """
    if len(policies) > MAX_POLICIES:
        raise InvalidInput(f"policies has {len(policies)} entries; ask about {MAX_POLICIES} at most")
    if any(policy.keep_bytes < 0 or policy.keep_days < 0 for policy in policies):
        raise InvalidInput("policies has a negative number; give bytes and days of 0 or more")
