"""What a machine in a user namespace is shown of programs that only their owner may reach."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stoker.runtimes.process.engine.visible import Shown, shown

if TYPE_CHECKING:
    from pathlib import Path


def test_what_anybody_can_reach_needs_nothing(tmp_path: Path) -> None:
    assert shown([tmp_path], lambda _: 0o755) == Shown((), ())


def test_the_outermost_closed_folder_is_covered_once(tmp_path: Path) -> None:
    home = tmp_path / "home"
    engine, python = home / "cache" / "engine", home / "python"

    def mode(folder: Path) -> int:
        return 0o700 if folder in {home, home / "cache"} else 0o755

    assert shown([engine, python, engine], mode) == Shown((home,), (engine, python))


def test_a_closed_folder_is_shown_in_one_above_it(tmp_path: Path) -> None:
    engine = tmp_path / "engine"

    def mode(folder: Path) -> int:
        return 0o700 if folder == engine else 0o755

    assert shown([engine], mode) == Shown((tmp_path,), (engine,))
