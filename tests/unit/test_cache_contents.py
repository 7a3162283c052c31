"""What a policy would free, and how a large cache is remembered."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from stoker.domain.cache_contents import CacheRecord, Freed, folded, freed_by, shares, total_bytes
from stoker.domain.cache_policy import CachePolicy

NOW = datetime(2026, 1, 31, tzinfo=UTC)


def record(name: str, size: int, days: int, *, kind: str = "regular", in_use: bool = False) -> CacheRecord:
    used = NOW - timedelta(days=days)
    return CacheRecord(name, kind, size, NOW - timedelta(days=100), used, 1, in_use, name)


RECORDS = [record("a", 10, 20), record("b", 20, 10), record("c", 30, 1), record("d", 40, 30, in_use=True)]


def test_age_counts_first_and_then_size_by_the_longest_unused() -> None:
    assert freed_by(RECORDS, CachePolicy(1000, 0), NOW) == Freed(0, 0)
    assert freed_by(RECORDS, CachePolicy(1000, 15), NOW) == Freed(10, 0)
    assert freed_by(RECORDS, CachePolicy(75, 15), NOW) == Freed(10, 20)
    assert freed_by(RECORDS, CachePolicy(90, 0), NOW) == Freed(0, 10)
    assert freed_by(RECORDS, CachePolicy(89, 0), NOW) == Freed(0, 30)


def test_what_is_in_use_is_never_dropped() -> None:
    assert freed_by(RECORDS, CachePolicy(0, 0), NOW) == Freed(0, 60)
    assert freed_by(RECORDS, CachePolicy(0, 1), NOW) == Freed(30, 30)


def test_what_was_never_used_counts_from_when_it_was_made() -> None:
    never = CacheRecord("e", "regular", 5, NOW - timedelta(days=8), None, 0, in_use=False, description="")
    assert freed_by([never], CachePolicy(1000, 7), NOW) == Freed(5, 0)
    assert freed_by([never], CachePolicy(1000, 9), NOW) == Freed(0, 0)


def test_a_large_cache_is_remembered_with_its_smallest_records_together_and_its_sums_right() -> None:
    many = [record(str(size), size, size, kind="frontend" if size % 2 else "regular") for size in range(1, 11)]

    kept = folded(many, 4)

    assert [one.size_bytes for one in kept[:4]] == [10, 9, 8, 7]
    assert {one.description for one in kept[4:]} == {"3 smaller records"}
    assert total_bytes(kept) == total_bytes(many)
    sizes = {share.kind: share.size_bytes for share in shares(kept)}
    assert sizes == {share.kind: share.size_bytes for share in shares(many)}
    assert folded(many, 10) == tuple(many)
