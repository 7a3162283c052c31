"""Limits calls, of all callers together and of each.

A caller is a token, valid or not, or an address for calls without a token. These are counted separately:

- calls, which end by themselves in milliseconds;
- waiting calls: streams, and the depot CLI's question for a machine, which is held open. A build has some of them open
  as long as it runs, so they don't take the slots of calls;
- streams of messages that callers send, since each may hold an incomplete message;
- health reports. Builds fail without them, so other calls with the same token don't take their slots;
- guests: calls that need no token. They have few slots of their own. Each of their streams has slots of its own, and so
  has the health check, so that a load balancer isn't refused because of others.

Invalid tokens are counted by address, so that nobody can try tokens, or make us verify them, without limit. After too
many, only tokens that were valid before are accepted from that address. So one broken client doesn't lock out the
others behind it.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

from connectrpc.method import StreamType

from stoker.auth.access import is_open
from stoker.auth.tokens import BUILD_TOKEN_PREFIX
from stoker.domain.errors import TooBusy
from stoker.domain.rates import Bound, Rate, Slots, TokenBuckets, network_of
from stoker.rpc.caller import is_verified

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from connectrpc.request import RequestContext

HEALTH_REPORTS = frozenset(
    {"depot.buildkit.v1.BuildKitService/ReportHealth", "depot.cli.v1.BuildService/ReportBuildHealth"}
)
HELD_OPEN = frozenset({"depot.cli.v1.BuildService/GetBuildKitConnection", "stoker.v1.WebhookService/TestWebhook"})

HEALTH_CHECK = "grpc.health.v1.Health/Check"

_SCHEME_LENGTH = len("bearer ")
_RETRY_SECONDS = 1.0
_UPLOADS = (StreamType.CLIENT_STREAM, StreamType.BIDI_STREAM)


@dataclass(frozen=True, slots=True)
class CallLimits:
    """All bounds. ``each_build`` is what a build's own token has at once of each kind, and ``remembered`` for how many
    callers a rate is kept.
    """

    calls: Bound
    waiting: Bound
    uploads: Bound
    each_build: int
    guests: Bound
    guest_streams: Bound
    rate: Rate
    guest_rate: Rate
    remembered: int


class _Admitted(NamedTuple):
    slots: Slots
    key: bytes | str
    buckets: TokenBuckets
    charged: bool
    guest: bool


class LimitsInterceptor:
    """Lets a call through while its caller is within the bounds. It stands before the one that verifies tokens."""

    def __init__(self, limits: CallLimits, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._calls = Slots(limits.calls)
        self._waiting = Slots(limits.waiting)
        self._uploads = Slots(limits.uploads)
        self._each_build = limits.each_build
        self._health = Slots(limits.waiting)
        self._guests = Slots(limits.guests)
        self._health_checks = Slots(limits.guests)
        self._guest_streams = defaultdict[str, Slots](lambda: Slots(limits.guest_streams))
        self._call_rates = TokenBuckets(limits.rate, limits.remembered)
        self._health_rates = TokenBuckets(limits.rate, limits.remembered)
        self._guest_rates = TokenBuckets(limits.guest_rate, limits.remembered)

    async def on_start(self, ctx: RequestContext[Any, Any]) -> _Admitted:
        """Count the call.

        Raises:
            TooBusy: a bound is reached.
        """
        method = f"{ctx.method.service_name}/{ctx.method.name}"
        now = self._monotonic()
        authorization = ctx.request_headers.get("authorization")
        if authorization is None or is_open(method):
            address = _address(ctx)
            _require(self._guest_rates.take(address, now), "from your address without a token")
            if ctx.method.stream_type is not StreamType.UNARY:
                slots = self._guest_streams[method]
            else:
                slots = self._health_checks if method == HEALTH_CHECK else self._guests
            return self._admit(slots, address, self._guest_rates, charged=True, guest=True)
        token = authorization[_SCHEME_LENGTH:].strip()
        key = blake2b(token.encode(), digest_size=16).digest()
        health = method in HEALTH_REPORTS
        buckets = self._health_rates if health else self._call_rates
        known = key in buckets
        if known:
            _require(buckets.take(key, now), "with your token")
        elif key not in (self._call_rates if health else self._health_rates):
            _require(self._guest_rates.wait(_address(ctx), now), "from your address with tokens that aren't valid")
        if health:
            slots = self._health
        elif ctx.method.stream_type in _UPLOADS:
            slots = self._uploads
        elif method in HELD_OPEN or ctx.method.stream_type is not StreamType.UNARY:
            slots = self._waiting
        else:
            slots = self._calls
        if token.startswith(BUILD_TOKEN_PREFIX) and slots.taken_by(key) >= self._each_build:
            raise _too_many_at_once(self._each_build)
        return self._admit(slots, key, buckets, charged=known, guest=False)

    async def on_end(self, admitted: _Admitted, ctx: RequestContext[Any, Any], error: Exception | None, /) -> None:
        """Release the call's slot, and charge its token, or its address if the token turned out to be invalid."""
        admitted.slots.leave(admitted.key)
        if admitted.guest:
            return
        now = self._monotonic()
        if not is_verified():
            self._guest_rates.take(_address(ctx), now)
        elif not admitted.charged:
            admitted.buckets.take(admitted.key, now)

    def _admit(self, slots: Slots, key: bytes | str, buckets: TokenBuckets, *, charged: bool, guest: bool) -> _Admitted:
        bound = slots.refusal(key)
        if bound is not None:
            raise _too_many_at_once(bound)
        slots.take(key)
        return _Admitted(slots, key, buckets, charged, guest)


def _too_many_at_once(bound: int) -> TooBusy:
    return TooBusy(f"{bound} calls are under way, which is the most; try again in a moment", _RETRY_SECONDS)


def _require(wait: float, whose: str) -> None:
    if wait > 0:
        raise TooBusy(f"too many calls {whose}; try again in {math.ceil(wait)} s", wait)


def _address(ctx: RequestContext[Any, Any]) -> str:
    return network_of((ctx.client_address or "").rpartition(":")[0])
