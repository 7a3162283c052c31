"""Our descriptors against the wire contract (wire.json): every service, method, message, field and enum value."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from protobuf import DescFile, DescMessage

from stoker._gen.depot.build.v1 import build_pb, registry_pb
from stoker._gen.depot.buildkit.v1 import buildkit_pb
from stoker._gen.depot.cli.v1 import build_pb as cli_build_pb
from stoker._gen.depot.cli.v1 import push_pb
from stoker._gen.depot.cli.v1beta1 import login_pb, projects_pb
from stoker._gen.depot.core.v1 import build_pb as core_build_pb
from stoker._gen.depot.core.v1 import organization_pb, project_pb, usage_pb
from stoker._gen.moby.buildkit.v1 import control_pb
from stoker.auth.access import METHODS
from tests.harness.own_protos import OWN_FILES

WIRE = json.loads((Path(__file__).parent / "wire.json").read_text())
FILES: list[DescFile] = [
    module.desc()
    for module in (
        build_pb,
        registry_pb,
        buildkit_pb,
        cli_build_pb,
        push_pb,
        login_pb,
        projects_pb,
        core_build_pb,
        organization_pb,
        project_pb,
        usage_pb,
        control_pb,
    )
]


def messages(files: list[DescFile] = FILES) -> Iterator[DescMessage]:
    waiting = [message for file in files for message in file.messages]
    while waiting:
        message = waiting.pop()
        yield message
        waiting.extend(message.nested_messages)


def field_of(message: DescMessage, field: Any) -> dict[str, Any]:
    proto = field.proto
    described: dict[str, Any] = {"no": proto.number}
    type_name = proto.type_name.removeprefix(".")
    entry = next(
        (nested for nested in message.proto.nested_type if type_name == f"{message.type_name}.{nested.name}"), None
    )
    if entry is not None and entry.options is not None and entry.options.map_entry:
        key, value = (part.type.name.lower() for part in entry.field)
        return described | {"type": f"map<{key},{value}>"}
    described["type"] = type_name or proto.type.name.lower()
    if proto.label.name == "REPEATED":
        described["repeated"] = True
    if proto.proto3_optional:
        described["optional"] = True
    elif proto.has_field("oneof_index"):
        described["oneof"] = message.proto.oneof_decl[proto.oneof_index].name
    return described


def contract_of(files: list[DescFile]) -> dict[str, dict[str, Any]]:
    """Descriptors in the form that wire.json has."""
    enums = [enum for file in files for enum in file.enums]
    enums += [enum for message in messages(files) for enum in message.nested_enums]
    return {
        "messages": {
            message.type_name: {field.name: field_of(message, field) for field in message.fields}
            for message in messages(files)
        },
        "enums": {enum.type_name: {value.name: value.number for value in enum.proto.value} for enum in enums},
        "services": {
            service.type_name: {
                method.name: {
                    "input": method.input.type_name,
                    "output": method.output.type_name,
                    "kind": str(method.method_kind),
                }
                for method in service.methods
            }
            for file in files
            for service in file.services
        },
    }


def test_every_message_and_field_is_as_on_the_wire() -> None:
    ours = contract_of(FILES)["messages"]
    assert {name: ours.get(name) for name in WIRE["messages"]} == WIRE["messages"]


def test_every_enum_value_is_as_on_the_wire() -> None:
    ours = contract_of(FILES)["enums"]
    assert {name: ours.get(name) for name in WIRE["enums"]} == WIRE["enums"]


def test_every_service_and_method_is_as_on_the_wire() -> None:
    services = contract_of(FILES)["services"]
    assert {name: methods for name, methods in services.items() if name.startswith("depot.")} == WIRE["services"]


def test_the_access_table_has_a_row_for_every_method_and_no_other() -> None:
    services = WIRE["services"] | contract_of(OWN_FILES)["services"]
    methods = {f"{service}/{method}" for service, methods in services.items() for method in methods}
    assert {method for method in METHODS if not method.startswith("grpc.reflection.")} == methods
