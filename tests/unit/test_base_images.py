"""Images that steps name."""

from __future__ import annotations

from dataclasses import replace

from stoker.domain.base_images import BaseImage, base_images
from stoker.domain.steps import Transfer
from tests.harness.steps import step

DIGEST = "sha256:" + 64 * "a"


def test_images_are_listed_once_with_their_platforms() -> None:
    steps = [
        step(1, name=f"[build 1/3] FROM docker.io/library/alpine:3@{DIGEST}"),
        step(2, name=f"[linux/arm64 stage-1 1/3] FROM docker.io/library/alpine:3@{DIGEST}", platform="linux/arm64"),
        step(3, name="[stage-2 1/1] FROM scratch"),
        step(4, name=f"[stage-2 2/2] RUN echo FROM x@{DIGEST} y"),
        replace(
            step(5, name="[internal] load metadata"),
            transfers=(Transfer(f"resolve docker.io/docker/dockerfile:1@{DIGEST}", "", 0, 0, None, None),),
        ),
    ]
    assert base_images(steps) == (
        BaseImage("docker.io/docker/dockerfile:1", DIGEST, ("linux/amd64",)),
        BaseImage("docker.io/library/alpine:3", DIGEST, ("linux/amd64", "linux/arm64")),
    )
