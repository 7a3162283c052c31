"""How much untrusted builds may write."""

from __future__ import annotations

from stoker.domain.volume_caps import Fill, UntrustedVolume, allowances, caps

SHARE = 0.5


def fill(volume: str, project: str, *, used: int = 0, own: int = 0, keep: int = 10_000) -> Fill:
    return Fill(UntrustedVolume(volume, project, keep), used, own)


def test_one_build_gets_half_of_what_is_free_and_keeps_it_while_it_writes():
    assert caps([fill("a", "p", used=100)], 1000, SHARE, 0) == {"a": 600}
    assert caps([fill("a", "p", used=400, own=300)], 700, SHARE, 0) == {"a": 600}
    assert caps([fill("a", "p", used=600, own=500)], 500, SHARE, 0) == {"a": 600}


def test_builds_of_a_project_share_what_it_gets():
    assert caps([fill("a", "p"), fill("b", "p")], 1000, SHARE, 0) == {"a": 250, "b": 250}


def test_projects_share_too_and_something_is_always_left():
    assert allowances([fill("a", "p"), fill("b", "q")], 1000, SHARE) == {"p": 250, "q": 250}
    assert allowances([fill("a", "p", own=500), fill("b", "q")], 500, SHARE) == {"p": 0, "q": 125}


def test_what_others_fill_lowers_caps_to_what_is_used():
    assert caps([fill("a", "p", used=400, own=300)], 0, SHARE, 0) == {"a": 400}
    assert caps([fill("a", "p", used=400, own=300)], -50, SHARE, 0) == {"a": 400}


def test_a_policy_still_counts():
    assert caps([fill("a", "p", used=100, keep=200)], 1000, SHARE, 50) == {"a": 250}
    assert caps([fill("a", "p", used=300, keep=200)], 1000, SHARE, 50) == {"a": 300}
