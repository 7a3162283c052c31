"""Who keeps how many events where all together have a bound."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoker.domain.retention import Owner, fair_level, surplus_events

OWNERS = st.tuples(st.sampled_from([None, "a", "b", "c"]), st.sampled_from(["person", "token"]), st.sampled_from("xyz"))


@pytest.mark.parametrize(
    ("counts", "most", "level"),
    [([10, 100, 1000], 300, 190), ([5, 5], 100, 5), ([100, 100], 50, 25), ([], 10, 0), ([7], 0, 0)],
)
def test_who_has_little_keeps_all(counts: list[int], most: int, level: int) -> None:
    assert fair_level(counts, most) == level


def test_a_flood_of_one_actor_is_only_its_own():
    counts: dict[Owner, int] = {
        ("a", "token", "flood"): 990,
        ("a", "person", "owner"): 20,
        ("b", "person", "other"): 50,
    }
    assert surplus_events(counts, 100, 1000, 10_000) == {("a", "token", "flood"): 890}
    assert surplus_events(counts, 1000, 200, 10_000) == {("a", "token", "flood"): 810}
    assert surplus_events(counts, 1000, 1000, 200) == {("a", "token", "flood"): 860}


def test_strangers_are_an_actor_of_their_own():
    counts: dict[Owner, int] = {(None, "nobody", ""): 500, (None, "server", ""): 5, ("a", "nobody", ""): 500}
    assert surplus_events(counts, 100, 1000, 10_000) == {(None, "nobody", ""): 400, ("a", "nobody", ""): 400}


@given(st.dictionaries(OWNERS, st.integers(1, 1000)), st.integers(1, 500), st.integers(1, 1000), st.integers(1, 2000))
def test_every_bound_is_kept(counts: dict[Owner, int], per_actor: int, per_organization: int, on_server: int) -> None:
    surplus = surplus_events(counts, per_actor, per_organization, on_server)
    left = {owner: count - surplus.get(owner, 0) for owner, count in counts.items()}
    assert all(0 <= count <= per_actor for count in left.values())
    for organization in {owner[0] for owner in left}:
        assert sum(count for owner, count in left.items() if owner[0] == organization) <= per_organization
    assert sum(left.values()) <= on_server
