from __future__ import annotations

import pytest

from stoker.domain.platforms import Platform, platforms_in


@pytest.mark.parametrize(
    ("option", "named"),
    [
        ("", set[Platform]()),
        ("linux/amd64", {Platform.AMD64}),
        ("linux/amd64, linux/arm64/v8", {Platform.AMD64, Platform.ARM64}),
        ("arm64", {Platform.ARM64}),
        ("Linux/aarch64", {Platform.ARM64}),
        ("x86_64", {Platform.AMD64}),
        ("linux/arm/v7,linux/riscv64", set[Platform]()),
        ("windows/amd64", set[Platform]()),
        ("linux/,/,//,linux", set[Platform]()),
    ],
)
def test_an_option_names_platforms(option: str, named: set[Platform]) -> None:
    assert platforms_in(option) == named
