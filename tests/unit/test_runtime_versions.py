"""Which runc and crun are fit to run steps."""

from __future__ import annotations

import pytest

from stoker.engine.runtime_versions import runtime_version


@pytest.mark.parametrize(
    ("version", "fit"),
    [
        ("1.1.5+ds1", False),
        ("1.1.15", False),
        ("1.2.7", False),
        ("1.2.8", True),
        ("1.3.0-rc.2", False),
        ("1.3.2", False),
        ("1.3.3", True),
        ("1.3.3-0ubuntu1~24.04.2", True),
        ("1.3.3+ds1", True),
        ("1.4.0-rc.2", False),
        ("1.4.0-rc.2+dev", False),
        ("1.4.0-rc.3", True),
        ("1.4.0", True),
        ("1.5.0-rc.1", True),
        ("1.5.3", True),
        ("2.0.0", True),
    ],
)
def test_runc_is_fit_from_the_fixed_release_of_its_branch_on(version: str, fit: bool) -> None:
    found = runtime_version(f"runc version {version}\ncommit: v9.9.9\nspec: 1.2.0\n")
    assert found is not None
    assert found.name.startswith("runc 1." if version[0] == "1" else "runc 2.")
    assert (found.holes == ()) is fit
    assert fit or found.holes[0] == "CVE-2025-31133"


@pytest.mark.parametrize(("version", "fit"), [("1.8.1", False), ("1.19.1", False), ("1.20", True), ("1.25.1", True)])
def test_crun_is_fit_since_its_own_fix(version: str, fit: bool) -> None:
    found = runtime_version(f"crun version {version}\ncommit: 1234\nrundir: /run/crun\n")
    assert found is not None
    assert (found.holes == ()) is fit


@pytest.mark.parametrize("said", ["", "runsc version release-1\n", "runc version unknown", "x runc version 1.5.3"])
def test_what_says_no_version_is_none(said: str) -> None:
    assert runtime_version(said) is None
