"""Writes docs/reference.md from what buf says of proto/: python scripts/reference.py DESCRIPTORS > docs/reference.md

DESCRIPTORS is what `buf build --as-file-descriptor-set` wrote; it has the comments.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from protobuf.wkt import FileDescriptorSet
from protobuf.wkt.google.protobuf.descriptor_pb import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)

from stoker.auth.access import METHODS, Open

# Field numbers in google/protobuf/descriptor.proto. The path of a comment consists of these.
_FILE_MESSAGES, _FILE_ENUMS, _FILE_SERVICES = 4, 5, 6
_MESSAGE_FIELDS, _MESSAGE_MESSAGES, _MESSAGE_ENUMS = 2, 3, 4
_SERVICE_METHODS, _ENUM_VALUES = 2, 2
_SKIPPED = ("google.", "moby.", "grpc.", "containerd.")

_HEAD = """\
# API reference

<!-- Written by `make generate` from proto/; change the comments there. -->

Every method is called over Connect, gRPC or gRPC-Web: `POST <API URL>/<package.Service>/<Method>`, with
`Authorization: Bearer <token>`. In JSON the names of fields are written as `projectId`; `project_id` is understood too.
Times are RFC 3339 texts, 64-bit numbers texts, and enum values their names. A person in several organizations chooses
one with the header `x-depot-org`.

"Takes" says which credentials a method takes: a token of an organization, a project, a build or a person (user), or an
OIDC token of a CI that a trust policy names. For a person it says the role that they need. What is not there and what
is not yours get the same answer, `not_found`.
"""


class _File:
    """A file's descriptor with its comments by path."""

    def __init__(self, proto: FileDescriptorProto) -> None:
        self.proto = proto
        locations = proto.source_code_info.location if proto.source_code_info else ()
        self._comments = {tuple(one.path): one.leading_comments for one in locations if one.leading_comments}

    def comment(self, *path: int) -> str:
        return " ".join(self._comments.get(path, "").split())


def _messages(file: _File) -> Iterator[tuple[str, tuple[int, ...], DescriptorProto]]:
    def walk(
        prefix: str, path: tuple[int, ...], message: DescriptorProto
    ) -> Iterator[tuple[str, tuple[int, ...], DescriptorProto]]:
        name = f"{prefix}.{message.name}"
        if message.options is not None and message.options.map_entry:
            return
        yield name, path, message
        for number, nested in enumerate(message.nested_type):
            yield from walk(name, (*path, _MESSAGE_MESSAGES, number), nested)

    for number, message in enumerate(file.proto.message_type):
        yield from walk(file.proto.package, (_FILE_MESSAGES, number), message)


def _enums(file: _File) -> Iterator[tuple[str, tuple[int, ...], EnumDescriptorProto]]:
    for number, enum in enumerate(file.proto.enum_type):
        yield f"{file.proto.package}.{enum.name}", (_FILE_ENUMS, number), enum
    for name, path, message in _messages(file):
        for number, enum in enumerate(message.enum_type):
            yield f"{name}.{enum.name}", (*path, _MESSAGE_ENUMS, number), enum


def _anchor(name: str) -> str:
    return name.lower().replace(".", "")


def _type(field: FieldDescriptorProto, maps: dict[str, DescriptorProto]) -> str:
    name = field.type_name.removeprefix(".")
    if name in maps:
        key, value = maps[name].field
        return f"map of {_type(key, maps)} to {_type(value, maps)}"
    if name and not name.startswith(_SKIPPED):
        plain = f"[{name.rpartition('.')[2]}](#{_anchor(name)})"
    elif name:
        plain = name.rpartition(".")[2]
    else:
        plain = field.type.name.removeprefix("TYPE_").lower()
    return f"list of {plain}" if field.label == FieldDescriptorProto.Label.REPEATED else plain


def _takes(method: str) -> str:
    rule = METHODS[method]
    if isinstance(rule, Open):
        return "anyone"
    words = [f"user ({rule.role})" if kind == "user" and rule.role else str(kind) for kind in sorted(rule.kinds)]
    return ", ".join(words)


def _service_lines(file: _File, maps: dict[str, DescriptorProto]) -> Iterator[str]:
    messages = {name: (path, message) for name, path, message in _messages(file)}
    for number, service in enumerate(file.proto.service):
        name = f"{file.proto.package}.{service.name}"
        yield f"\n## {name}\n\n{file.comment(_FILE_SERVICES, number)}\n"
        for place, method in enumerate(service.method):
            kind = " (streams requests)" if method.client_streaming else ""
            kind += " (streams answers)" if method.server_streaming else ""
            yield f"\n### {service.name}/{method.name}{kind}\n"
            yield f"{file.comment(_FILE_SERVICES, number, _SERVICE_METHODS, place)}\n"
            yield f"Takes: {_takes(f'{name}/{method.name}')}.\n"
            for label, type_name in (("Request", method.input_type), ("Answer", method.output_type)):
                yield f"{label}:\n"
                path, message = messages[type_name.removeprefix(".")]
                yield from _field_lines(file, path, message, maps)


def _field_lines(
    file: _File, path: tuple[int, ...], message: DescriptorProto, maps: dict[str, DescriptorProto]
) -> Iterator[str]:
    if not message.field:
        yield "Empty.\n"
        return
    yield "| field | type | |\n|---|---|---|"
    for number, field in enumerate(message.field):
        note = file.comment(*path, _MESSAGE_FIELDS, number)
        if field.has_field("oneof_index") and not field.proto3_optional:
            note = f"One of `{message.oneof_decl[field.oneof_index].name}`. {note}".strip()
        yield f"| `{field.json_name}` | {_type(field, maps)} | {note} |"
    yield ""


def _type_lines(files: list[_File], maps: dict[str, DescriptorProto]) -> Iterator[str]:
    used_directly = {
        type_name.removeprefix(".")
        for file in files
        for service in file.proto.service
        for method in service.method
        for type_name in (method.input_type, method.output_type)
    }
    yield "\n## Types\n"
    for file in files:
        for name, path, message in _messages(file):
            if name in used_directly:
                continue
            yield f'\n### <a id="{_anchor(name)}"></a>{name}\n'
            if file.comment(*path):
                yield f"{file.comment(*path)}\n"
            yield from _field_lines(file, path, message, maps)
        for name, path, enum in _enums(file):
            yield f'\n### <a id="{_anchor(name)}"></a>{name}\n'
            if file.comment(*path):
                yield f"{file.comment(*path)}\n"
            yield ", ".join(f"`{value.name}`" for value in enum.value[1:]) + ".\n"


def main() -> None:
    """Print the page."""
    described = FileDescriptorSet.from_binary(Path(sys.argv[1]).read_bytes())
    files = [_File(proto) for proto in described.file if not proto.package.startswith(_SKIPPED)]
    files.sort(key=lambda file: (file.proto.package.startswith("stoker."), file.proto.name))
    maps = {
        f"{file.proto.package}.{message.name}.{nested.name}": nested
        for file in files
        for message in file.proto.message_type
        for nested in message.nested_type
        if nested.options is not None and nested.options.map_entry
    }
    lines = [_HEAD, *(line for file in files for line in _service_lines(file, maps)), *_type_lines(files, maps)]
    text = "\n".join(line.rstrip() for line in "\n".join(lines).splitlines())
    while "\n\n\n" in text:
        text = text.replace("\n\n\n", "\n\n")
    sys.stdout.write(text.strip() + "\n")


if __name__ == "__main__":
    main()
