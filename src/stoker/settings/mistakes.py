"""Says in plain words what pydantic finds wrong with settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_BOUNDS = {
    "greater_than_equal": ("at least", "ge"),
    "greater_than": ("more than", "gt"),
    "less_than_equal": ("at most", "le"),
    "less_than": ("less than", "lt"),
}
_KINDS = {
    "float_parsing": "a number",
    "float_type": "a number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a whole number of that size",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "bool_parsing": "true or false",
    "bool_type": "true or false",
}


def plain_reason(error: ErrorDetails) -> str:
    """What is wrong, without pydantic's words."""
    kind, context = error["type"], error.get("ctx", {})
    if kind in _BOUNDS:
        words, name = _BOUNDS[kind]
        bound = context[name]
        return f"it must be {words} {int(bound) if bound == int(bound) else bound}"
    if kind in _KINDS:
        return f'"{error["input"]}" is not {_KINDS[kind]}'
    if kind == "too_short":
        return f"it must have at least {context['min_length']} item{'' if context['min_length'] == 1 else 's'}"
    if kind in {"string_type", "path_type"}:
        return "it must be a text, in quotes"
    return str(error["msg"]).removeprefix("Value error, ")
