"""Steps come after what they need."""

from __future__ import annotations

import pytest

from stoker.domain.step_graph import inputs_first


@pytest.mark.parametrize(
    ("graph", "roots", "order"),
    [
        ({"c": "b", "b": "a", "a": ""}, "c", "abc"),
        ({"c": "ba", "b": "a", "a": ""}, "c", "abc"),
        ({"c": "ab", "b": "a", "a": ""}, "ca", "abc"),
        ({"a": "b", "b": "a"}, "a", "ba"),
        ({"a": "a"}, "a", "a"),
        ({}, "", ""),
    ],
)
def test_the_order(graph: dict[str, str], roots: str, order: str) -> None:
    assert inputs_first(roots, lambda one: graph[one]) == list(order)


def test_a_chain_may_be_longer_than_the_stack() -> None:
    assert inputs_first([20_000], lambda one: [one - 1] if one else []) == list(range(20_001))
