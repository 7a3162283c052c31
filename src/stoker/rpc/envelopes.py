"""Where the messages of a stream begin and end: each has a header of five bytes, the last four of which say its size
(gRPC's PROTOCOL-HTTP2.md, "Length-Prefixed-Message"; Connect's protocol, "Enveloped-Message").
"""

from __future__ import annotations

_HEADER_BYTES = 5
_ENVELOPED = (b"application/grpc", b"application/connect+")


def has_envelopes(content_type: bytes) -> bool:
    """Whether a body of that type is a stream of messages."""
    return content_type.startswith(_ENVELOPED)


class Envelopes:
    """Follows a body of messages without keeping any of it."""

    def __init__(self) -> None:
        self._header = bytearray()
        self._missing = 0
        self.begun = 0
        """How many messages have begun."""
        self.unfinished_bytes = 0
        """How much there is of the message that has begun and not ended; 0 between messages."""

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the body."""
        place = 0
        while place < len(data):
            if self._missing:
                taken = min(self._missing, len(data) - place)
                self._missing -= taken
                self.unfinished_bytes += taken
            else:
                taken = min(_HEADER_BYTES - len(self._header), len(data) - place)
                self.begun += not self._header
                self._header += data[place : place + taken]
                self.unfinished_bytes = len(self._header)
                if len(self._header) == _HEADER_BYTES:
                    self._missing = int.from_bytes(self._header[1:])
                    self._header.clear()
                else:
                    return
            if not self._missing:
                self.unfinished_bytes = 0
            place += taken
