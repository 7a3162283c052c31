"""JSON by the standard library's scanner, without the modules around it: to import them takes longer than all else."""

from __future__ import annotations

from stoker.runtimes.process.engine.step_config.refusal import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Refused("a step's configuration names a field twice; build with stoker's own BuildKit")
    return found


def _no_constant(name: str) -> object:
    raise Refused(f"a step's configuration has {name}; build with stoker's own BuildKit")


class _Context:
    strict = True
    object_hook = None
    object_pairs_hook = staticmethod(_unique)
    array_hook = None
    parse_float = float
    parse_int = int
    parse_constant = staticmethod(_no_constant)
    memo: dict[str, str] = {}  # noqa: RUF012


def _scanner() -> Callable[[str], object]:
    try:
        from _json import make_scanner

        scan: Callable[[str, int], tuple[object, int]] = make_scanner(_Context())  # pyright: ignore[reportArgumentType]
    except (ImportError, AttributeError, TypeError):
        from json import loads

        return lambda text: loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)

    def read(text: str) -> object:
        value, end = scan(text, 0)
        if text[end:].strip():
            raise ValueError("there is more after it")
        return value

    return read


def read_json(text: str) -> object:
    """The value that ``text`` is.

    Raises:
        Refused: it is no JSON, or ambiguous.
    """
    try:
        return _scanner()(text)
    except (ValueError, StopIteration, RecursionError) as error:
        raise Refused("a step's configuration is no JSON; build with stoker's own BuildKit") from error


def write_json(value: object) -> str:
    """``value`` as JSON.

    Raises:
        Refused: it has what no configuration of a step has.
    """
    try:
        from _json import encode_basestring_ascii
    except ImportError:
        from json.encoder import encode_basestring_ascii
    quoted: Callable[[str], str] = encode_basestring_ascii

    def written(part: object) -> str:
        if isinstance(part, str):
            return quoted(part)
        if part is None or isinstance(part, bool):
            return {None: "null", True: "true", False: "false"}[part]
        if isinstance(part, int):
            return str(part)
        if isinstance(part, list):
            return "[" + ",".join(written(one) for one in part) + "]"  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        if isinstance(part, dict):
            pairs: dict[str, object] = part  # pyright: ignore[reportUnknownVariableType]
            return "{" + ",".join(f"{quoted(name)}:{written(one)}" for name, one in pairs.items()) + "}"
        raise Refused("a step's configuration has a broken number; build with stoker's own BuildKit")

    return written(value)
