"""The cache policy of a project: size and age."""

from __future__ import annotations

from dataclasses import dataclass

from stoker.domain.errors import InvalidInput

GIGABYTE = 1024**3  # as the depot CLI counts them
MIN_KEEP_BYTES = 1000**3
DEFAULT_KEEP_BYTES = 50 * GIGABYTE
MAX_KEEP_BYTES = 100_000 * GIGABYTE
MAX_KEEP_DAYS = 3650


@dataclass(frozen=True, slots=True)
class CachePolicy:
    """Keep at most ``keep_bytes``, and nothing unused for longer than ``keep_days``; 0 days are no limit."""

    keep_bytes: int = DEFAULT_KEEP_BYTES
    keep_days: int = 14


@dataclass(frozen=True, slots=True)
class CachePolicyChange:
    """The parts of a policy that a caller names; None leaves a part as it is."""

    keep_bytes: int | None = None
    keep_days: int | None = None

    def applied_to(self, base: CachePolicy) -> CachePolicy:
        """``base`` with these parts replaced."""
        return CachePolicy(
            keep_bytes=base.keep_bytes if self.keep_bytes is None else self.keep_bytes,
            keep_days=base.keep_days if self.keep_days is None else self.keep_days,
        )


def default_cache_policy(max_keep_bytes: int) -> CachePolicy:
    """The policy of a project that names none."""
    return CachePolicy(keep_bytes=min(DEFAULT_KEEP_BYTES, max_keep_bytes))


def checked_cache_policy(
    policy: CachePolicy, min_keep_bytes: int = MIN_KEEP_BYTES, max_keep_bytes: int = MAX_KEEP_BYTES
) -> CachePolicy:
    """Return ``policy`` when it is within bounds.

    Raises:
        InvalidInput: a value is negative, too small or larger than this server's operator allows.
    """
    if not min_keep_bytes <= policy.keep_bytes <= max_keep_bytes:
        raise InvalidInput(
            f"cache_policy.keep_bytes is {policy.keep_bytes}; give a value between {min_keep_bytes} "
            f"({min_keep_bytes / 1000**3:g} GB) and {max_keep_bytes} ({max_keep_bytes / GIGABYTE:g} GB), "
            "or leave the cache policy out to get the default"
        )
    if not 0 <= policy.keep_days <= MAX_KEEP_DAYS:
        raise InvalidInput(
            f"cache_policy.keep_days is {policy.keep_days}; give a value between 1 and {MAX_KEEP_DAYS}, "
            "0 for no limit, or leave the cache policy out to get the default"
        )
    return policy
