"""Our descriptors against the wire contract (wire.json): every service, method, message, field and enum value."""

from __future__ import annotations

import json
from pathlib import Path

from protobuf import DescFile

from stoker._gen.depot.build.v1 import build_pb, registry_pb
from stoker._gen.depot.buildkit.v1 import buildkit_pb
from stoker._gen.depot.cli.v1 import build_pb as cli_build_pb
from stoker._gen.depot.cli.v1 import push_pb
from stoker._gen.depot.cli.v1beta1 import login_pb, projects_pb
from stoker._gen.depot.core.v1 import build_pb as core_build_pb
from stoker._gen.depot.core.v1 import organization_pb, project_pb, usage_pb
from stoker._gen.depot.registry.v1beta1 import registry_pb as image_registry_pb
from stoker._gen.moby.buildkit.v1 import control_pb
from stoker.auth.access import METHODS
from tests.harness.descriptors import contract_of
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
        image_registry_pb,
        control_pb,
    )
]


OURS = contract_of(file.proto for file in FILES)


def test_every_message_and_field_is_as_on_the_wire() -> None:
    ours = OURS.messages
    assert {name: ours.get(name) for name in WIRE["messages"]} == WIRE["messages"]


def test_every_enum_value_is_as_on_the_wire() -> None:
    ours = OURS.enums
    assert {name: ours.get(name) for name in WIRE["enums"]} == WIRE["enums"]


def test_every_service_and_method_is_as_on_the_wire() -> None:
    services = {name: methods for name, methods in OURS.services.items() if name.startswith("depot.")}
    assert services == WIRE["services"]
    assert sum(len(methods) for methods in services.values()) == 61


def test_the_access_table_has_a_row_for_every_method_and_no_other() -> None:
    services = WIRE["services"] | contract_of(file.proto for file in OWN_FILES).services
    methods = {f"{service}/{method}" for service, methods in services.items() for method in methods}
    assert {method for method in METHODS if not method.startswith("grpc.reflection.")} == methods
