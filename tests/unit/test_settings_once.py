"""A setting's default stands in its group alone: what is made of settings has no default of its own for them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from stoker.settings.effective import GROUPS, SETTINGS

_SOURCES = Path(__file__).parents[2] / "src" / "stoker"
_GROUPS = {group.__name__ for group in GROUPS.values()}


def _trees() -> list[ast.Module]:
    paths = (path for path in _SOURCES.rglob("*.py") if "_gen" not in path.parts)
    return [ast.parse(path.read_text(encoding="utf-8")) for path in paths]


def _made_of_groups(trees: list[ast.Module]) -> set[str]:
    """The groups, and names of modules for what is made of their defaults."""
    found = set(_GROUPS)
    for node in (node for tree in trees for node in tree.body if isinstance(node, ast.Assign)):
        if found & _names(node.value):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return found


def _names(expression: ast.expr) -> set[str]:
    return {node.id for node in ast.walk(expression) if isinstance(node, ast.Name)}


def _told(value: ast.expr) -> set[str]:
    """The settings that an expression is made of, such as ``idle_seconds`` in ``settings.fleet.idle_seconds``."""
    read = (node for node in ast.walk(value) if isinstance(node, ast.Attribute) and node.attr in SETTINGS)
    return {
        node.attr
        for node in read
        if isinstance(node.value, ast.Attribute)
        and node.value.attr == SETTINGS[node.attr].group
        and not isinstance(SETTINGS[node.attr].default, Path)
    }


def _is_none(default: ast.expr) -> bool:
    return isinstance(default, ast.Constant) and default.value is None


def _of_class(node: ast.ClassDef) -> dict[str, ast.expr | None]:
    """What a class is made of, in order, with the default of each."""
    for inner in node.body:
        if isinstance(inner, ast.FunctionDef) and inner.name == "__init__":
            return _of_function(inner)
    return {
        inner.target.id: inner.value
        for inner in node.body
        if isinstance(inner, ast.AnnAssign) and isinstance(inner.target, ast.Name)
    }


def _of_function(node: ast.FunctionDef | ast.AsyncFunctionDef) -> dict[str, ast.expr | None]:
    positional = [one.arg for one in (*node.args.posonlyargs, *node.args.args) if one.arg not in ("self", "cls")]
    defaults: list[ast.expr | None] = [None] * (len(positional) - len(node.args.defaults)) + [*node.args.defaults]
    named = zip((one.arg for one in node.args.kwonlyargs), node.args.kw_defaults, strict=True)
    return {**dict(zip(positional, defaults, strict=False)), **dict(named)}


def _second_defaults(trees: list[ast.Module]) -> Iterator[str]:
    """What takes a setting, and has a default for it that isn't that setting's."""
    takers: dict[str, dict[str, ast.expr | None]] = {}
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and node.name not in _GROUPS:
                takers[node.name] = _of_class(node)
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("__"):
                takers.setdefault(node.name, _of_function(node))
    allowed = _made_of_groups(trees)
    for tree in trees:
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            taker = ast.unparse(call.func).rpartition(".")[2]
            parameters = takers.get(taker, {})
            given = {word.arg: word.value for word in call.keywords} | dict(zip(parameters, call.args, strict=False))
            for name, value in given.items():
                told, default = _told(value), parameters.get(name or "")
                if told and default is not None and not _is_none(default) and not _names(default) & allowed:
                    yield f"{taker}.{name} = {ast.unparse(default)} is a default of {', '.join(sorted(told))}"


def test_no_default_stands_twice():
    assert sorted(set(_second_defaults(_trees()))) == []


def test_a_second_default_is_found():
    bad = ast.parse(
        "class Options:\n    idle: int = 120\n\n"
        "class Other:\n    idle: int = FleetSettings().idle_seconds\n\n"
        "Options(idle=settings.fleet.idle_seconds)\nOther(settings.fleet.idle_seconds)\n"
    )
    assert list(_second_defaults([bad])) == ["Options.idle = 120 is a default of idle_seconds"]


def test_each_name_is_in_one_group():
    names = [name for group in GROUPS.values() for name in vars(group)["__pydantic_fields__"]]
    assert sorted(names) == sorted(SETTINGS)
