"""What changed between two builds of the same thing, and how long such builds usually take."""

from __future__ import annotations

from datetime import timedelta

from stoker.domain.base_images import BaseImage
from stoker.domain.build_changes import (
    ChangedLine,
    DockerfileChange,
    ImageChange,
    changed_dockerfiles,
    changed_images,
)
from stoker.domain.build_origins import NO_ORIGIN, BuildOrigin, subject_of
from stoker.domain.steps import Dockerfile
from stoker.domain.usual_durations import usual_duration

AMD64 = ("linux/amd64",)


def dockerfile(contents: str, filename: str = "Dockerfile", target: str = "") -> Dockerfile:
    return Dockerfile("b", target, filename, contents)


def test_base_images_whose_digests_changed() -> None:
    before = [BaseImage("alpine:3", "sha256:a", AMD64), BaseImage("node:22", "sha256:n", AMD64)]
    now = [
        BaseImage("alpine:3", "sha256:b", AMD64),
        BaseImage("node:22", "sha256:n", ("linux/arm64",)),
        BaseImage("redis:7", "sha256:r", AMD64),
    ]
    assert changed_images(before, now) == (
        ImageChange("alpine:3", "sha256:a", "sha256:b"),
        ImageChange("redis:7", "", "sha256:r"),
    )
    assert changed_images(now, now) == ()


def test_changed_lines_of_a_dockerfile_have_their_numbers() -> None:
    before = "FROM alpine\nRUN one\nRUN two\nRUN three\n"
    now = "FROM alpine\nRUN one\nRUN 2\nRUN three\nRUN four\n"
    assert changed_dockerfiles([dockerfile(before)], [dockerfile(now)]) == (
        DockerfileChange(
            "Dockerfile",
            (
                ChangedLine(is_added=False, number=3, text="RUN two"),
                ChangedLine(is_added=True, number=3, text="RUN 2"),
                ChangedLine(is_added=True, number=5, text="RUN four"),
            ),
            is_whole=True,
        ),
    )


def test_only_dockerfiles_that_both_builds_have_are_compared() -> None:
    assert changed_dockerfiles([dockerfile("FROM a")], [dockerfile("FROM a")]) == ()
    assert changed_dockerfiles([dockerfile("FROM a")], [dockerfile("FROM b", "web.Dockerfile")]) == ()
    both = [dockerfile("FROM b", target=target) for target in ("web", "lint")]
    (change,) = changed_dockerfiles([dockerfile("FROM a", target=one.target) for one in both], both)
    assert change.filename == "Dockerfile", "the same change of one file is told once"


def test_a_long_dockerfile_is_compared_where_it_differs_and_not_beyond_a_bound() -> None:
    many = [f"RUN {number}" for number in range(5000)]
    other = [*many[:2500], "RUN another", *many[2501:]]
    (change,) = changed_dockerfiles([dockerfile("\n".join(many))], [dockerfile("\n".join(other))])
    assert [(line.number, line.text) for line in change.lines] == [(2501, "RUN 2500"), (2501, "RUN another")]
    (unlike,) = changed_dockerfiles([dockerfile("\n".join(many))], [dockerfile("\n".join(many[::-1]))])
    assert (unlike.lines, unlike.is_whole) == ((), False)
    some = "\n".join(many[:100])
    (cut,) = changed_dockerfiles([dockerfile(some)], [dockerfile(some.replace("RUN", "COPY"))])
    assert (len(cut.lines), cut.is_whole) == (40, False)
    files = [dockerfile(f"FROM {number}", f"{number}.Dockerfile") for number in range(50)]
    changed = [dockerfile(f"FROM x{number}", f"{number}.Dockerfile") for number in range(50)]
    assert len(changed_dockerfiles(files, changed)) == 5


def test_builds_of_the_same_thing_have_the_same_subject() -> None:
    first = BuildOrigin(tags=("acme/web:1",), targets=("web",), dockerfiles=("Dockerfile",))
    assert subject_of(first) == subject_of(
        BuildOrigin(tags=("acme/web:2", "acme/web:latest"), targets=("web",), dockerfiles=("Dockerfile",))
    )
    others = [
        BuildOrigin(tags=("acme/api:1",), targets=("web",), dockerfiles=("Dockerfile",)),
        BuildOrigin(tags=("acme/web:1",), targets=("lint",), dockerfiles=("Dockerfile",)),
        BuildOrigin(targets=("web",), dockerfiles=("Dockerfile",)),
    ]
    assert len({subject_of(one) for one in (first, *others)}) == 4
    assert subject_of(BuildOrigin(tags=("localhost:5000/web:1",))) == subject_of(
        BuildOrigin(tags=("localhost:5000/web",))
    )
    assert subject_of(NO_ORIGIN) == ""


def test_the_usual_duration_is_the_median_of_enough_builds() -> None:
    seconds = [7.0, 100.0, 6.0]
    usual = usual_duration([timedelta(seconds=one) for one in seconds])
    assert usual is not None
    assert (usual.median, usual.builds) == (timedelta(seconds=7), 3)
    assert usual.factor(17.5) == 2.5
    assert usual_duration([timedelta(seconds=7)] * 2) is None
    instant = usual_duration([timedelta()] * 3)
    assert instant is not None
    assert instant.factor(1) == 10
