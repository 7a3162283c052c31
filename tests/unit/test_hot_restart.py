"""The flags by which one Envoy replaces another."""

from __future__ import annotations

from pathlib import Path

from stoker.serve.hot_restart import HotRestart

LARGEST_SIGNED = 2**31 - 1


def test_names_of_sockets_stay_short(tmp_path: Path) -> None:
    """Envoy appends ten times the base id, plus a small number; beyond 2^31 that takes twenty digits."""
    restarts = HotRestart(tmp_path, longest_call_seconds=1)
    for _ in range(300):
        flags = restarts.first_flags()
        base = int(flags[flags.index("--base-id") + 1])
        assert base * 10 + 9 <= LARGEST_SIGNED


def test_the_next_has_the_same_base_and_another_epoch(tmp_path: Path) -> None:
    restarts = HotRestart(tmp_path, longest_call_seconds=1)
    first, second = restarts.first_flags(), restarts.next_flags()
    assert second is not None
    assert second[:4] == [*first[:2], "--restart-epoch", "1"]


def test_a_folder_with_a_long_path_goes_without(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 20)
    assert HotRestart(folder, longest_call_seconds=1).first_flags() == ["--disable-hot-restart"]
