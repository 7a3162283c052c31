"""Why a step may not run, and readers of its configuration that refuse what isn't on a list."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection


class Refused(Exception):
    """The step may not run. The message is one line that says what to do, and goes into the build's log."""


def table(value: object, where: str, allowed: Collection[str]) -> dict[str, object]:
    """An object with no other fields than those ``allowed``.

    Raises:
        Refused: it is something else.
    """
    if not isinstance(value, dict):
        raise Refused(f"{where} of a step's configuration is no object; build with stoker's own BuildKit")
    found: dict[str, object] = value  # pyright: ignore[reportUnknownVariableType]
    for name in found:
        if name not in allowed:
            raise Refused(
                f"a step may not have {where}.{name}; leave out what asks for it, or build with stoker's own BuildKit"
            )
    return found


def entries(value: object, where: str) -> list[object]:
    """A list; empty where there is none.

    Raises:
        Refused: it is something else.
    """
    if value is None:
        return []
    if not isinstance(value, list):
        raise Refused(f"{where} of a step's configuration is no list; build with stoker's own BuildKit")
    found: list[object] = value  # pyright: ignore[reportUnknownVariableType]
    return found


def texts(value: object, where: str) -> list[str]:
    """A list of texts.

    Raises:
        Refused: it is something else.
    """
    return [text(one, where) for one in entries(value, where)]


def text(value: object, where: str) -> str:
    """A text.

    Raises:
        Refused: it is something else.
    """
    if not isinstance(value, str):
        raise Refused(f"{where} of a step's configuration is no text; build with stoker's own BuildKit")
    return value


def number(value: object, where: str) -> int:
    """A whole number.

    Raises:
        Refused: it is something else.
    """
    if not isinstance(value, int) or isinstance(value, bool):
        raise Refused(f"{where} of a step's configuration is no number; build with stoker's own BuildKit")
    return value
