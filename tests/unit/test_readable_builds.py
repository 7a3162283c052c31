"""Only what checks access says that a build may be read."""

from __future__ import annotations

import ast
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src" / "stoker"
MAKERS = {"ReadableBuild", "MemberBuild"}
# By the principal, in a project that the principal may see, and by the id of a shared build.
CHECKS = {
    ("services/lookup.py", "require_build"),
    ("services/builds.py", "list"),
    ("services/sharing.py", "shared_build"),
}


def test_readable_builds_come_from_access_checks_alone() -> None:
    found: set[tuple[str, str]] = set()
    for path in SOURCE.rglob("*.py"):
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            for node in ast.walk(function):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in MAKERS:
                    found.add((path.relative_to(SOURCE).as_posix(), function.name))
    assert found == CHECKS
