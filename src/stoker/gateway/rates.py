"""The rate limit of a build's calls, applied in the gateway before the authorizer is asked."""

from __future__ import annotations

from typing import Any

_TYPE = "type.googleapis.com/envoy."
_BUILD = "build"
# Number of builds whose rate is stored; the least recently used is dropped first.
_REMEMBERED_BUILDS = 10_000


def rates_filter(identity_header: str, calls_per_second: float, burst: int) -> dict[str, Any]:
    """A token bucket for each build: `burst` calls at once, and then so many a second."""
    unlimited = {"max_tokens": 1_000_000_000, "tokens_per_fill": 1_000_000_000, "fill_interval": "1s"}
    bucket = {"max_tokens": burst, "tokens_per_fill": 1, "fill_interval": f"{max(1 / calls_per_second, 0.001):.3f}s"}
    if calls_per_second > 1:
        bucket |= {"tokens_per_fill": max(1, round(calls_per_second)), "fill_interval": "1s"}
    always = {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}
    return {
        "name": "rates",
        "typed_config": {
            "@type": _TYPE + "extensions.filters.http.local_ratelimit.v3.LocalRateLimit",
            "stat_prefix": "rates",
            "token_bucket": unlimited,
            "filter_enabled": always,
            "filter_enforced": always,
            "rate_limited_as_resource_exhausted": True,
            "max_dynamic_descriptors": _REMEMBERED_BUILDS,
            "rate_limits": [
                {"actions": [{"request_headers": {"header_name": identity_header, "descriptor_key": _BUILD}}]}
            ],
            # Without a value, so that each build has its own bucket.
            "descriptors": [{"entries": [{"key": _BUILD}], "token_bucket": bucket}],
        },
    }
