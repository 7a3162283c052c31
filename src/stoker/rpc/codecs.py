"""The codecs of the API: protobuf, and a JSON that refuses values that it doesn't know."""

from __future__ import annotations

from json import JSONDecodeError
from typing import TYPE_CHECKING, Any

from connectrpc.code import Code
from connectrpc.codec import Codec, proto_binary_codec, proto_json_codec
from connectrpc.errors import ConnectError

from stoker.domain.errors import ResourceExhausted
from stoker.messages.nesting import require_shallow_json
from stoker.messages.parts import require_few_json_parts, require_few_parts
from stoker.rpc.depot.documented_json import as_protobuf_has_it

if TYPE_CHECKING:
    from protobuf import Message, Registry

_UNKNOWN_FIELD = "is unknown"
_MOST_PARTS = 100_000
_ENOUGH_TO_TELL = 64 * 1024


class BinaryCodec:
    """Protobuf, of a bounded number of parts."""

    def __init__(self, most_parts: int) -> None:
        self._codec = proto_binary_codec()
        self._most_parts = most_parts

    def name(self) -> str:
        """The name in content types."""
        return self._codec.name()

    def encode(self, message: Message) -> bytes:
        """A message in protobuf's binary format."""
        return self._codec.encode(message)

    def decode(self, data: bytes | bytearray, message_class: type[Any]) -> Any:  # noqa: ANN401
        """A message from protobuf's binary format.

        Raises:
            ConnectError: it has too many parts.
            ValueError: it isn't one, or is nested too deeply.
        """
        try:
            require_few_parts(data, message_class, self._most_parts)
        except ResourceExhausted as error:
            raise _refusal(error) from error
        return self._codec.decode(data, message_class)


class JsonCodec:
    """JSON that ignores unknown fields, which newer clients may send, but refuses unknown values of enums.

    The library's lenient decoder drops both, so a misspelled value would become the default. Neither of its decoders
    limits all nesting, so we check that first.
    """

    def __init__(self, registry: Registry | None, most_parts: int = _MOST_PARTS) -> None:
        """``registry`` knows the messages that an Any may hold."""
        self._most_parts = most_parts
        self._strict = proto_json_codec(registry, ignore_unknown_fields=False)
        self._lenient = proto_json_codec(registry)

    def name(self) -> str:
        """The name in content types."""
        return self._strict.name()

    def encode(self, message: Message) -> bytes:
        """A message as JSON."""
        return self._strict.encode(message)

    def decode(self, data: bytes | bytearray, message_class: type[Any]) -> Any:  # noqa: ANN401
        """A message from JSON.

        Raises:
            ConnectError: it has too many parts, or asks for what there is no field for and can't be left out silently.
            ValueError: it isn't one, or is nested too deeply.
        """
        try:
            require_few_json_parts(data, self._most_parts)
        except ResourceExhausted as error:
            # A message that is also nested too deeply is refused for that, since several smaller ones would not help.
            require_shallow_json(data[:_ENOUGH_TO_TELL])
            raise _refusal(error) from error
        require_shallow_json(data)
        try:
            return self._decoded(as_protobuf_has_it(data, message_class), message_class)
        except JSONDecodeError as error:
            problem = str(error)
        # In place of the library's error, which has the whole document, and lives until the client has its answer.
        raise ValueError(problem)

    def _decoded(self, data: bytes | bytearray, message_class: type[Any]) -> Any:  # noqa: ANN401
        try:
            return self._strict.decode(data, message_class)
        except ValueError as error:
            if _UNKNOWN_FIELD not in str(error):
                raise
            return self._lenient.decode(data, message_class)


def _refusal(error: ResourceExhausted) -> ConnectError:
    """An error that the RPC library passes on. Any other error of a codec it reports as a malformed message."""
    return ConnectError(Code.RESOURCE_EXHAUSTED, str(error))


def api_codecs(registry: Registry | None = None, *, most_parts: int = _MOST_PARTS) -> tuple[Codec[Any, Any], ...]:
    """All codecs, the binary one first.

    Args:
        registry: the messages that an Any may hold; our own messages hold none.
        most_parts: of a message; see `require_few_parts`.
    """
    return (BinaryCodec(most_parts), JsonCodec(registry, most_parts))
