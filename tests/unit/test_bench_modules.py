"""The benchmarks still fit what they measure, as far as that can be told without running them."""

from __future__ import annotations

import importlib
import pkgutil

import bench


def test_all_modules_can_be_imported() -> None:
    names = [module.name for module in pkgutil.iter_modules(bench.__path__)]
    assert len(names) > 10
    for name in names:
        importlib.import_module(f"bench.{name}")
