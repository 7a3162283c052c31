"""Rate limits and concurrency limits by caller."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable

_IPV6_NETWORK_BITS = 64
_ROUNDING_SECONDS = 1e-6  # rounding error of sums of floating-point seconds


@dataclass(frozen=True, slots=True)
class Rate:
    """A rate: so many a second on average, and ``burst`` of them at once."""

    per_second: float
    burst: int


class TokenBuckets:
    """A token bucket for each key; at most ``most`` buckets are stored.

    A bucket is stored as the time at which it is full again. A full bucket needs no memory. When there are too many,
    the least recently used one is dropped.
    """

    def __init__(self, rate: Rate, most: int) -> None:
        self._seconds_each = 1 / rate.per_second
        self._seconds_of_burst = rate.burst / rate.per_second
        self._most = most
        self._full_at: OrderedDict[Hashable, float] = OrderedDict()

    def __contains__(self, key: Hashable) -> bool:
        """Whether the key has a bucket."""
        return key in self._full_at

    def wait(self, key: Hashable, now: float) -> float:
        """Seconds until the bucket has a token; 0 if it has one. ``now`` is in seconds."""
        full_at = max(self._full_at.get(key, now), now)
        wait = full_at + self._seconds_each - now - self._seconds_of_burst
        return wait if wait > _ROUNDING_SECONDS else 0.0

    def take(self, key: Hashable, now: float) -> float:
        """Take a token and return 0, or return the seconds until there is one."""
        wait = self.wait(key, now)
        if wait > 0:
            return wait
        self._full_at[key] = max(self._full_at.get(key, now), now) + self._seconds_each
        self._full_at.move_to_end(key)
        if len(self._full_at) > self._most:
            self._full_at.popitem(last=False)
        return 0.0


@dataclass(frozen=True, slots=True)
class Bound:
    """How many at once, for all together and for each key."""

    together: int
    each: int


class Slots:
    """Counts what is under way, for each key and together."""

    def __init__(self, bound: Bound) -> None:
        self._bound = bound
        self._taken = 0
        self._taken_by: dict[Hashable, int] = {}

    def refusal(self, key: Hashable) -> int | None:
        """The bound that one more of ``key`` would exceed, or None."""
        if self._taken >= self._bound.together:
            return self._bound.together
        if self._taken_by.get(key, 0) >= self._bound.each:
            return self._bound.each
        return None

    def taken_by(self, key: Hashable) -> int:
        """How many slots a key holds."""
        return self._taken_by.get(key, 0)

    def take(self, key: Hashable) -> None:
        """Take a slot."""
        self._taken += 1
        self._taken_by[key] = self._taken_by.get(key, 0) + 1

    def leave(self, key: Hashable) -> None:
        """Release a slot. A key without slots is dropped."""
        self._taken -= 1
        left = self._taken_by.pop(key) - 1
        if left:
            self._taken_by[key] = left


def network_of(host: str) -> str:
    """The network that counts as one caller when only an address is known: an IPv4 address, or an IPv6 /64, which is
    what one customer of a provider is given (RFC 6177).
    """
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if not isinstance(address, IPv6Address):
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(IPv6Address(int(address) >> _IPV6_NETWORK_BITS << _IPV6_NETWORK_BITS))
