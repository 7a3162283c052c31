"""Why a step was done, and nothing that isn't certain."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from stoker.domain.cache_misses import CacheMiss, ComparedBuild, MissKind, cache_misses
from stoker.domain.steps import Step
from tests.harness.steps import step

AMD64 = "linux/amd64"
IMAGE = "[1/4] FROM docker.io/library/alpine:3@sha256:" + 64 * "a"
OTHER_IMAGE = "[1/4] FROM docker.io/library/alpine:3@sha256:" + 64 * "b"


def build(
    *,
    session: str = "s1",
    image: str = IMAGE,
    command: str = "make",
    arguments: str = "",
    cached: Sequence[int] = (),
    failed: bool = False,
    last: str | None = None,
) -> list[Step]:
    """FROM, RUN on it alone, COPY of the client's files, RUN; digests differ by what BuildKit's depend on."""
    base = step(1, name=image, digest=image[-9:])
    apk = step(
        2, name="[2/4] RUN apk add gcc", digest=f"apk {base.digest} {arguments}", needs=(base,), cached=2 in cached
    )
    context = step(3, name="[internal] load build context", digest=f"context {session}")
    copy = step(4, name="[3/4] COPY . .", digest=f"copy {session}", needs=(apk, context), cached=4 in cached)
    make = step(
        5, name=f"[4/4] RUN {command}", digest=f"make {session}", needs=(copy,), cached=5 in cached,
        error="exit code: 1" if failed else None,
    )  # fmt: skip
    more = [] if last is None else [step(6, name=f"[5/5] {last}", needs=(make,))]
    return [base, apk, context, copy, make, *more]


def why(steps: Sequence[Step], before: Sequence[Step] | None, *, is_other_cache: bool = False) -> dict[int, CacheMiss]:
    compared = None if before is None else ComparedBuild("x", before, is_other_cache)
    return cache_misses(steps, AMD64, compared)


def test_a_first_build_has_nothing_to_compare_with() -> None:
    assert why(build(), None) == {
        2: CacheMiss(MissKind.FIRST),
        4: CacheMiss(MissKind.INPUT_DONE, step=2),
        5: CacheMiss(MissKind.INPUT_DONE, step=4),
    }


def test_cached_steps_sources_and_steps_of_others_need_no_reason() -> None:
    steps = build(cached=[2, 4, 5])
    export = step(6, name="exporting to image")
    waiting = step(7, None, None, name="[5/5] RUN later", needs=(steps[4],))
    foreign = step(8, name="[6/6] RUN x", needs=(steps[4],), platform="linux/arm64")
    assert why([*steps, export, waiting, foreign], build()) == {}


@pytest.mark.parametrize(
    ("steps", "before", "number", "miss"),
    [
        (
            build(session="s2", cached=[2]),
            build(),
            4,
            CacheMiss(MissKind.FILES, "x", step=3),
        ),
        (
            build(session="s2", cached=[2, 4], command="make all"),
            build(),
            5,
            CacheMiss(MissKind.REPLACED, "x", name="[4/4] RUN make"),
        ),
        (
            build(image=OTHER_IMAGE),
            build(),
            2,
            CacheMiss(MissKind.INPUT_NEW, "x", step=1),
        ),
        (
            build(session="s2", cached=[2, 4, 5], last="RUN test"),
            build(),
            6,
            CacheMiss(MissKind.NEW, "x"),
        ),
        (
            build(session="s2", cached=[2, 4]),
            build(failed=True),
            5,
            CacheMiss(MissKind.UNFINISHED, "x"),
        ),
        (
            build(),
            build(),
            2,
            CacheMiss(MissKind.DROPPED, "x"),
        ),
        (
            build(arguments="VERSION=2"),
            build(),
            2,
            CacheMiss(MissKind.DEFINITION, "x"),
        ),
        (
            build(session="s2", cached=[2, 4]),
            build(),
            5,
            CacheMiss(MissKind.UNKNOWN, "x"),
        ),
    ],
    ids=["files", "replaced", "new input", "new", "unfinished", "dropped", "definition", "unknown"],
)
def test_reasons(steps: list[Step], before: list[Step], number: int, miss: CacheMiss) -> None:
    assert why(steps, before)[number] == miss


def test_another_cache_is_the_reason_for_what_the_other_build_had() -> None:
    assert why(build(), build(), is_other_cache=True)[2].kind is MissKind.RESET
    assert why(build(cached=[2, 4], command="else"), build(), is_other_cache=True)[5].kind is MissKind.REPLACED


def test_the_same_digest_says_nothing_where_a_source_may_have_changed_under_its_name() -> None:
    def fetched(*, cached: bool) -> list[Step]:
        source = step(1, name="https://example.com/x.tar", digest="d")
        add = step(2, name="[1/2] ADD https://example.com/x.tar /", digest="e", needs=(source,), cached=cached)
        return [source, add, step(3, name="[2/2] RUN x", digest="f", needs=(add,))]

    assert why(fetched(cached=False), fetched(cached=True))[2] == CacheMiss(MissKind.FILES, "x", step=1)
    assert why(fetched(cached=True), fetched(cached=True))[3] == CacheMiss(MissKind.UNKNOWN, "x")


def test_numbers_of_instructions_that_shifted_are_no_change() -> None:
    before = build(session="s1")
    after = build(session="s2", cached=[2, 4])
    renamed = [
        one if one.number != 5 else step(5, name="[4/9] RUN make", digest="m", needs=(after[3],)) for one in after
    ]
    assert why(renamed, before)[5] == CacheMiss(MissKind.UNKNOWN, "x")


def test_two_that_might_have_been_replaced_are_not_guessed_at() -> None:
    base = step(1, name=IMAGE)
    before = [base, step(2, name="[a 1/1] RUN one", needs=(base,)), step(3, name="[b 1/1] RUN two", needs=(base,))]
    assert why([base, step(2, name="[c 1/1] RUN three", needs=(base,))], before)[2] == CacheMiss(MissKind.NEW, "x")
