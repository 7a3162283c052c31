"""What a machine in a user namespace is shown of programs that only their owner may reach."""

from __future__ import annotations

from pathlib import Path

from stoker.runtimes.process.engine.visible import Shown, shown

SRV = Path("/srv")


def test_what_anybody_can_reach_needs_nothing() -> None:
    assert shown([SRV], lambda _: 0o755) == Shown((), ())


def test_the_outermost_closed_folder_is_covered_once() -> None:
    home = SRV / "home"
    engine, python = home / "cache" / "engine", home / "python"

    def mode(folder: Path) -> int:
        return 0o700 if folder in {home, home / "cache"} else 0o755

    assert shown([engine, python, engine], mode) == Shown((home,), (engine, python))


def test_a_closed_folder_is_shown_in_one_above_it() -> None:
    engine = SRV / "engine"

    def mode(folder: Path) -> int:
        return 0o700 if folder == engine else 0o755

    assert shown([engine], mode) == Shown((SRV,), (engine,))


def test_what_is_in_a_folder_that_the_machine_has_empty_is_always_shown() -> None:
    program = Path("/tmp/checkout/src")  # noqa: S108
    for bits in (0o700, 0o755):
        assert shown([program], lambda _, bits=bits: bits) == Shown((), (program,))
