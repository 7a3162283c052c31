"""docs/limits.md names every bound as the settings have it, and each has a test that reaches it."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path

import pytest

from stoker.settings.effective import SETTINGS

_ROOT = Path(__file__).parents[2]
_ROW = re.compile(
    r"^\| (?P<what>[^|]+) \| (?P<per>[^|]+) \| `(?P<setting>[a-z_]+)` \| (?P<default>[^|]+) \| (?P<beyond>[^|]+) \|$",
    re.MULTILINE,
)


def _rows() -> list[re.Match[str]]:
    return list(_ROW.finditer((_ROOT / "docs" / "limits.md").read_text(encoding="utf-8")))


@functools.cache
def _reached() -> set[str]:
    """The settings named by ``@pytest.mark.bound("setting", ...)`` on any test."""
    found: set[str] = set()
    for path in (_ROOT / "tests").rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.bound":
                found |= {argument.value for argument in node.args if isinstance(argument, ast.Constant)}
    return found


def test_the_table_has_rows():
    assert len(_rows()) > 15


@pytest.mark.parametrize("row", _rows(), ids=lambda row: row["setting"])
def test_each_bound_is_a_setting_with_that_default(row: re.Match[str]):
    setting = SETTINGS.get(row["setting"])
    assert setting is not None, f"{row['setting']} is no setting"
    assert float(row["default"]) == float(str(setting.default)), row["setting"]


@pytest.mark.parametrize("setting", sorted({row["setting"] for row in _rows()}))
def test_each_bound_is_reached_by_a_test(setting: str):
    assert setting in _reached(), f'mark the test that reaches {setting} with @pytest.mark.bound("{setting}")'


def test_each_setting_that_is_a_bound_is_in_the_table():
    listed = {row["setting"] for row in _rows()}
    bounds = {name for name in SETTINGS if name.startswith("max_")}
    assert bounds - listed == set()
