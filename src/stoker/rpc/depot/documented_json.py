"""JSON as Depot's public documentation spells it, where that is not the JSON of protobuf.

There `result` is written as a field (`"result": {"error": "…"}`), and the SDK's own objects have it as
`{"case": …, "value": …}`. Protobuf's JSON has no field for a oneof, and its decoder would drop it as unknown: a build
that failed would be recorded as a success.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

from connectrpc.code import Code
from connectrpc.errors import ConnectError

from stoker._gen.depot.build.v1 import build_pb
from stoker._gen.depot.cli.v1 import build_pb as cli_pb
from stoker.rpc.depot.no_registry import no_save

if TYPE_CHECKING:
    from collections.abc import Mapping

    JsonObject = dict[str, Any]

_RESULTS: Mapping[type[Any], tuple[str, ...]] = {
    build_pb.FinishBuildRequest: ("success", "error"),
    cli_pb.FinishBuildRequest: ("success", "error", "canceled"),
}
_SAVES = ("save", "saveTags", "save_tags")


def as_protobuf_has_it(data: bytes | bytearray, message_class: type[Any]) -> bytes | bytearray:
    """A request's JSON in protobuf's form. JSON that needs no change, or is malformed, is returned as it is.

    Raises:
        ValueError: the result is none of those that there are.
        ConnectError: an image is to be saved, for which the message has no field.
    """
    results = _RESULTS.get(message_class)
    if results is None and message_class is not build_pb.CreateBuildRequest:
        return data
    try:
        request: object = json.loads(data)
    except (ValueError, RecursionError):
        return data
    if not isinstance(request, dict):
        return data
    request = cast("JsonObject", request)
    if results is not None:
        return json.dumps(_with_result(request, results)).encode()
    if _is_to_save(request):
        raise ConnectError(Code.UNIMPLEMENTED, no_save().message)
    return data


def _with_result(request: JsonObject, known: tuple[str, ...]) -> JsonObject:
    fields = {name: value for name, value in request.items() if name != "result"}
    given = request.get("result")
    results = {name: fields.pop(name) for name in ("success", "error", "canceled") if fields.get(name) is not None}
    if given is not None:
        results |= _chosen(given)
    if len(results) > 1 or not set(results) <= set(known):
        raise _no_result(known)
    for name, value in results.items():
        fields[name] = {"error": value} if name == "error" and isinstance(value, str) else value
    return fields


def _chosen(given: object) -> JsonObject:
    """What `result` holds: {NAME: VALUE}, as the documentation has it, or {"case": NAME, "value": VALUE}."""
    if not isinstance(given, dict):
        return {"result": given}
    given = cast("JsonObject", given)
    if isinstance(given.get("case"), str):
        value: object = given.get("value")
        return {given["case"]: {} if value is None else value}
    return {name: value for name, value in given.items() if value is not None}


def _no_result(known: tuple[str, ...]) -> ValueError:
    names = ['{"error": {"error": "…"}}' if name == "error" else f'{{"{name}": {{}}}}' for name in known]
    return ValueError(f"its result is not one of {', '.join(names)}; leave it out for a success")


def _is_to_save(request: JsonObject) -> bool:
    options = request.get("options")
    targets = cast("list[object]", options) if isinstance(options, list) else []
    parts: list[object] = [request, *targets]
    return any(cast("JsonObject", part).get(name) for part in parts if isinstance(part, dict) for name in _SAVES)
