"""How much one caller may ask for, decided without a clock."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoker.domain.rates import Bound, Rate, Slots, TokenBuckets, network_of


def test_a_burst_is_taken_at_once_and_then_the_rate_counts() -> None:
    buckets = TokenBuckets(Rate(per_second=10, burst=3), most=10)
    assert [buckets.take("a", 0.0) for _ in range(3)] == [0, 0, 0]
    assert buckets.take("a", 0.0) == pytest.approx(0.1)
    assert buckets.take("a", 0.05) == pytest.approx(0.05)
    assert buckets.take("a", 0.11) == 0
    assert buckets.take("a", 0.12) > 0


def test_a_bucket_is_never_more_than_full() -> None:
    buckets = TokenBuckets(Rate(per_second=10, burst=3), most=10)
    buckets.take("a", 0.0)
    assert [buckets.take("a", 1000.0) == 0 for _ in range(4)] == [True, True, True, False]


def test_callers_do_not_share_a_bucket() -> None:
    buckets = TokenBuckets(Rate(per_second=1, burst=1), most=10)
    assert (buckets.take("a", 0.0), buckets.take("b", 0.0)) == (0, 0)
    assert buckets.take("a", 0.0) > 0


def test_asking_how_long_to_wait_takes_nothing_and_remembers_nobody() -> None:
    buckets = TokenBuckets(Rate(per_second=1, burst=1), most=10)
    assert [buckets.wait("a", 0.0) for _ in range(5)] == [0] * 5
    assert "a" not in buckets


@pytest.mark.bound("max_remembered_callers")
def test_who_was_quiet_the_longest_is_forgotten() -> None:
    buckets = TokenBuckets(Rate(per_second=1, burst=1), most=2)
    for key in ("a", "b"):
        buckets.take(key, 0.0)
    buckets.take("a", 5.0)
    buckets.take("c", 5.0)
    assert ["a" in buckets, "b" in buckets, "c" in buckets] == [True, False, True]


@given(st.lists(st.floats(0, 0.5), max_size=200))
def test_no_pattern_of_calls_gets_more_than_the_burst_and_the_rate(pauses: list[float]) -> None:
    buckets = TokenBuckets(Rate(per_second=20, burst=5), most=10)
    now, taken = 0.0, 0
    for pause in pauses:
        now += pause
        taken += buckets.take("a", now) == 0
    assert taken <= 5 + 20 * now + 0.01


@given(st.lists(st.floats(0, 1), min_size=1, max_size=50))
def test_a_caller_that_waits_as_long_as_it_is_told_is_let_through(pauses: list[float]) -> None:
    buckets = TokenBuckets(Rate(per_second=3, burst=2), most=10)
    now = 0.0
    for pause in pauses:
        now += pause
        wait = buckets.take("a", now)
        assert wait == 0 or buckets.wait("a", now + wait) == 0


def test_places_are_bounded_for_each_and_together() -> None:
    slots = Slots(Bound(together=3, each=2))
    for key in ("a", "a", "b"):
        assert slots.refusal(key) is None
        slots.take(key)
    assert slots.refusal("a") == slots.refusal("c") == 3
    slots.leave("b")
    assert (slots.refusal("a"), slots.refusal("c")) == (2, None)


@pytest.mark.parametrize(
    ("host", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2::1", "2001:db8:1:2::"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("", ""),
    ],
)
def test_an_ipv6_caller_is_its_network(host: str, network: str) -> None:
    assert network_of(host) == network
