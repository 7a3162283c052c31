"""The compression of messages that the API speaks."""

from __future__ import annotations

import gzip
import zlib

from connectrpc.code import Code
from connectrpc.errors import ConnectError

_WITH_GZIP_HEADER = 31  # zlib's window bits
_LEVEL = 6
_MAX_MEMBERS = 8


class GzipCompression:
    """gzip, with a bound on the members that it may consist of (RFC 1952, section 2.2).

    The library's own takes any number, and copies all that is left for each. A few megabytes of empty members would
    stop the event loop for many seconds (docs/findings.md). Clients send one.
    """

    def name(self) -> str:
        """The name in headers."""
        return "gzip"

    def compress(self, data: bytes | bytearray | memoryview) -> bytes:
        """Compressed data."""
        return gzip.compress(data, compresslevel=_LEVEL)

    def decompress(self, data: bytes | bytearray | memoryview, read_max_bytes: int | None = None) -> bytes:
        """Decompressed data, at most ``read_max_bytes``.

        Raises:
            ConnectError: it would be larger.
            ValueError: it isn't gzip, or has too many members.
        """
        content = bytearray()
        members = 0
        while data:
            if members == _MAX_MEMBERS:
                raise ValueError(f"the gzip data has more than {_MAX_MEMBERS} members; compress it as one")
            members += 1
            decompressor = zlib.decompressobj(wbits=_WITH_GZIP_HEADER)
            most = 0 if read_max_bytes is None else read_max_bytes + 1 - len(content)
            try:
                content += decompressor.decompress(data, most)
            except zlib.error as error:
                raise ValueError(str(error)) from error
            if read_max_bytes is not None and len(content) > read_max_bytes:
                raise ConnectError(Code.RESOURCE_EXHAUSTED, f"message is larger than configured max {read_max_bytes}")
            if not decompressor.eof:
                raise ValueError("the gzip data ends before its end")
            data = decompressor.unused_data
        return bytes(content)
