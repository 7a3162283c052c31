"""The maps of the code: every folder has its line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scripts import folders

ROOT = Path(__file__).parents[2]
CHECKLISTS = list((ROOT / "docs" / "contributing").glob("*.md"))
PLACEHOLDER = re.compile(r"NAME|NNNN|SUBJECT|name\.html|^\.\.")


def test_the_table_in_the_docs_is_the_one_of_the_docstrings() -> None:
    page = folders.PAGE.read_text(encoding="utf-8")
    assert folders.table() in page, "run: make generate"
    assert folders.with_table(page, folders.table()) == page


def test_a_folder_without_a_line_fails(tmp_path: Path) -> None:
    (tmp_path / "described").mkdir()
    (tmp_path / "described" / "__init__.py").write_text('"""Does one thing.\n\nMore about it.\n"""\n')
    assert "| `described/` | Does one thing. |" in folders.table(tmp_path)
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "module.py").write_text('"""A module."""\n')
    with pytest.raises(ValueError, match="without a docstring: bare/;"):
        folders.table(tmp_path)


def test_contributors_find_every_folder_at_the_top() -> None:
    tops = [path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")]
    guide = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert [top for top in sorted(tops) if f"| `{top}/`" not in guide] == []


@pytest.mark.parametrize("page", ["architecture.md", *sorted(f"contributing/{one.name}" for one in CHECKLISTS)])
def test_the_docs_for_contributors_name_files_that_are_there(page: str) -> None:
    text = (folders.PAGE.parent / page).read_text(encoding="utf-8")
    named = [name for name in re.findall(r"`([\w./-]+/[\w.-]+\.\w+)`", text) if not PLACEHOLDER.search(name)]
    places = (ROOT, folders.SOURCE, folders.SOURCE / "web", folders.SOURCE / "store", ROOT / "tests" / "contract")
    assert [name for name in named if not any((place / name).exists() for place in places)] == []
