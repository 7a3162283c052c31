"""Which of the host's ids a machine gets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from stoker.runtimes.errors import RuntimeFailed
from stoker.runtimes.process.host.id_ranges import IdRange, IdRanges, delegated_ranges, free_range
from stoker.runtimes.process.host.namespaces import IDS

if TYPE_CHECKING:
    from pathlib import Path

_FIRST = 1_000_000
_POOL = IdRange(_FIRST, 3 * IDS)


def test_subordinate_ids_of_users_are_read_and_the_rest_of_the_file_is_not() -> None:
    text = "ada:100000:65536\n# a comment\n\ngrace:not-a-number:1\n1000:165536:65536\nshort:5\n"
    assert list(delegated_ranges(text)) == [IdRange(100_000, 65_536), IdRange(165_536, 65_536)]


def test_a_range_in_which_anybody_has_an_id_is_left_out() -> None:
    assert free_range(_POOL, []) == IdRange(_FIRST)
    assert free_range(_POOL, [IdRange(_FIRST + IDS - 1, 1)]) == IdRange(_FIRST + IDS)
    assert free_range(_POOL, [IdRange(_FIRST - 10, 11), IdRange(_FIRST + IDS, 1)]) == IdRange(_FIRST + 2 * IDS)


@pytest.mark.bound("max_user_id_ranges")
def test_a_pool_that_is_used_up_says_what_to_do() -> None:
    with pytest.raises(RuntimeFailed, match="max_user_id_ranges"):
        free_range(_POOL, [IdRange(_FIRST, 3 * IDS)])


def test_a_pool_that_is_no_multiple_of_a_range_is_never_left() -> None:
    with pytest.raises(RuntimeFailed):
        free_range(IdRange(_FIRST, 2 * IDS - 1), [IdRange(_FIRST, 1)])


def test_a_machine_keeps_its_range_while_its_folder_is_there_and_others_get_it_afterwards(tmp_path: Path) -> None:
    ranges = IdRanges(tmp_path / "run", _POOL)
    one, two, three = (tmp_path / name for name in ("one", "two", "three"))
    for folder in (one, two, three):
        folder.mkdir()
    first, second = ranges.take(one), ranges.take(two)
    assert first != second
    assert IdRanges(tmp_path / "run", _POOL).take(three) not in {first, second}, "another server knows of them"
    assert ranges.take(one) == first, "a machine that is started again"
    two.rmdir()
    four = tmp_path / "four"
    four.mkdir()
    assert ranges.take(four) == second


def test_a_kill_while_a_range_is_written_down_loses_none(tmp_path: Path) -> None:
    (tmp_path / "run" / "ids").mkdir(parents=True)
    (tmp_path / "run" / "ids" / str(_FIRST)).touch()
    machine = tmp_path / "machine"
    machine.mkdir()
    assert IdRanges(tmp_path / "run", _POOL).take(machine) == IdRange(_FIRST)
