"""The codecs that the API speaks: protobuf, and JSON that doesn't swallow what it can't understand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from connectrpc.codec import Codec, proto_binary_codec, proto_json_codec

if TYPE_CHECKING:
    from protobuf import Message, Registry

_UNKNOWN_FIELD = "is unknown"


class JsonCodec:
    """JSON that ignores fields which only a newer client knows, but refuses values that aren't any of an enum's.

    The library's lenient decoder drops both, so that a misspelled value would silently become the default.
    """

    def __init__(self, registry: Registry | None) -> None:
        """``registry`` knows the messages that an Any may hold."""
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
            ValueError: it isn't one.
        """
        try:
            return self._strict.decode(data, message_class)
        except ValueError as error:
            if _UNKNOWN_FIELD not in str(error):
                raise
            return self._lenient.decode(data, message_class)


def api_codecs(registry: Registry | None = None) -> tuple[Codec[Any, Any], ...]:
    """All codecs, the binary one first. Our own messages hold no Any, so they need no ``registry``."""
    return (proto_binary_codec(), JsonCodec(registry))
