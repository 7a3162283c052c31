"""Which failures are those of names that the depot CLI can't send."""

from __future__ import annotations

import pytest

from stoker.domain.depot_names import unsendable_name
from stoker.domain.steps import Step


def step(name: str) -> Step:
    return Step(
        build_id="b",
        number=1,
        solve_ref="r",
        digest="d",
        name=name,
        group="",
        platform="",
        started_at=None,
        completed_at=None,
        cached=False,
        error="not found",
        inputs=(),
        work_key="",
        transfers=(),
        stdout_bytes=0,
        stderr_bytes=0,
        log_lines=0,
        dropped_bytes=0,
        clipped=False,
        saved=None,
    )


DEPOT = [step("[depot] launching amd64 machine")]


@pytest.mark.parametrize("name", ["[2/2] COPY größe.md /", "[stage 2/3] ADD a.txt 語.txt /out/", "COPY ü /"])
def test_a_copy_of_a_name_outside_ascii_is_warned_of(name: str) -> None:
    warning = unsendable_name("b", "r", [step("[1/2] RUN a"), step(name)], DEPOT)
    assert warning is not None
    assert "stoker build" in warning.short
    assert unsendable_name("b", "r", [step(name)], []) is None, "another client"


@pytest.mark.parametrize("name", ["[2/2] COPY a /", "[2/2] RUN COPY ü", "[internal] load build context"])
def test_other_failures_are_not(name: str) -> None:
    assert unsendable_name("b", "r", [step(name)], DEPOT) is None
