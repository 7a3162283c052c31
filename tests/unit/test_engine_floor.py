"""Which versions of BuildKit are good enough."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoker.engine import FLOOR, EngineUnavailable
from stoker.engine.floor import Version, parsed_version, require_floor

# From semver.org 2.0.0, item 11.
ASCENDING = ["1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11",
             "1.0.0-rc.1", "1.0.0"]  # fmt: skip


@pytest.mark.parametrize("version", ["v0.34.2", "0.34.2", "v0.34.3", "v0.35.0-rc1", "v0.35.0", "v1.0.0", "v0.100.0",
                                     "v0.34.2+dfsg1", "v0.34.2-5-gabc1234", "v0.34.2-5-gabc1234.m"])  # fmt: skip
def test_good_enough(version: str):
    require_floor(version, "buildkitd")


@pytest.mark.parametrize("version", ["v0.34.1", "v0.33.9", "v0.4.20", "v0.34.2-rc1", "v0.34.2-rc1-5-gabc1234"])
def test_too_old(version: str):
    with pytest.raises(EngineUnavailable, match=rf"/x/buildkitd is BuildKit {version}; it must be at least {FLOOR}"):
        require_floor(version, "/x/buildkitd")


@pytest.mark.parametrize(
    "version", ["", "dev", "v0.34", "v0.0.0+unknown", "v0.34.2.1", "v0.34.२", "9" * 5000, "v0.34.2-"]
)
def test_nobody_knows(version: str):
    with pytest.raises(EngineUnavailable, match="can't be told whether it is at least"):
        require_floor(version, "buildkitd")


def test_pre_releases_come_in_the_order_of_the_standard():
    versions = [parsed_version(text) for text in ASCENDING]
    for lower, higher in pairwise(versions):
        assert lower is not None
        assert higher is not None
        assert lower < higher
        assert higher >= lower


numbers = st.integers(min_value=0, max_value=10**6)


@given(numbers, numbers, numbers)
def test_what_is_written_is_read(major: int, minor: int, patch: int):
    assert parsed_version(f"v{major}.{minor}.{patch}") == Version(major, minor, patch)


@given(st.tuples(numbers, numbers, numbers), st.tuples(numbers, numbers, numbers))
def test_releases_come_in_the_order_of_their_numbers(left: tuple[int, int, int], right: tuple[int, int, int]):
    assert (Version(*left) < Version(*right)) == (left < right)


@given(st.text())
def test_any_text_is_a_version_or_none(text: str):
    assert parsed_version(text) is None or isinstance(parsed_version(text), Version)
