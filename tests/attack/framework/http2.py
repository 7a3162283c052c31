"""HTTP/2 as an attacker speaks it (RFC 9113): streams that are whole or not, over TLS or without."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _GOAWAY, _WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
_END_STREAM, _ACK, _END_HEADERS = 1, 1, 4
_INITIAL_WINDOW_SETTING = 4
_WINDOW = 65_535
_LARGE_WINDOW = 2**30
_FRAME = 16_384


@dataclass
class Stream:
    """One request."""

    number: int
    window: int
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    reset: bool = False

    @property
    def outcome(self) -> str:
        """What became of it."""
        if self.reset:
            return "reset"
        return "answered" if self.answered.is_set() else "unanswered"


class Http2:
    """One connection. It reads all that comes, and keeps to the other side's windows."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._streams: dict[int, Stream] = {}
        self._next = 1
        self._window = _WINDOW
        self._stream_window = _WINDOW
        self._room = asyncio.Condition()
        self.closed = asyncio.Event()

    async def start(self) -> None:
        settings = struct.pack(">HI", _INITIAL_WINDOW_SETTING, _LARGE_WINDOW)
        update = struct.pack(">I", _LARGE_WINDOW)
        self._writer.write(_PREFACE + _frame(_SETTINGS, 0, 0, settings) + _frame(_WINDOW_UPDATE, 0, 0, update))
        await self._writer.drain()

    def read_nothing(self) -> None:
        """Give the streams that are opened from now on a window of one byte."""
        self._writer.write(_frame(_SETTINGS, 0, 0, struct.pack(">HI", _INITIAL_WINDOW_SETTING, 1)))

    async def open(self, path: str, headers: dict[str, str], *, end: bool = False) -> Stream:
        """Send the headers of a request."""
        if self.closed.is_set():
            raise ConnectionResetError("the other side closed the connection")
        stream = Stream(self._next, self._stream_window)
        self._next += 2
        self._streams[stream.number] = stream
        pseudo = {":method": "POST", ":scheme": "http", ":path": path, ":authority": "stoker.test"}
        block = b"".join(_literal(name, value) for name, value in (pseudo | headers).items())
        self._writer.write(_frame(_HEADERS, _END_HEADERS | (_END_STREAM if end else 0), stream.number, block))
        await self._writer.drain()
        return stream

    async def send(self, stream: Stream, data: bytes, *, end: bool = False) -> None:
        """Send a part of the body, or until the stream is over."""
        for begin in range(0, len(data), _FRAME):
            part = data[begin : begin + _FRAME]
            async with self._room:
                await self._room.wait_for(
                    lambda part=part: self._over(stream) or min(self._window, stream.window) >= len(part)
                )
            if self._over(stream):
                return
            self._window -= len(part)
            stream.window -= len(part)
            self._writer.write(_frame(_DATA, 0, stream.number, part))
            await self._writer.drain()
        if end:
            self._writer.write(_frame(_DATA, _END_STREAM, stream.number, b""))
            await self._writer.drain()

    def _over(self, stream: Stream) -> bool:
        return stream.ended.is_set() or self.closed.is_set()

    async def read(self) -> None:
        """Handle what comes until the connection ends."""
        try:
            while True:
                header = await self._reader.readexactly(9)
                payload = await self._reader.readexactly(int.from_bytes(header[:3], "big"))
                kind, flags, number = struct.unpack(">BBI", header[3:])
                self._handle(kind, flags, number, payload)
                async with self._room:
                    self._room.notify_all()
        except (OSError, EOFError):
            pass
        finally:
            self.closed.set()
            for stream in self._streams.values():
                stream.reset = stream.reset or not stream.ended.is_set()
                stream.ended.set()
            async with self._room:
                self._room.notify_all()

    def _handle(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        stream = self._streams.get(number)
        if kind == _SETTINGS and not flags & _ACK:
            self._take_settings(payload)
            self._writer.write(_frame(_SETTINGS, _ACK, 0))
        elif kind == _PING and not flags & _ACK:
            self._writer.write(_frame(_PING, _ACK, 0, payload))
        elif kind == _WINDOW_UPDATE and number == 0:
            self._window += int.from_bytes(payload, "big")
        elif kind == _GOAWAY:
            self.closed.set()
        elif stream is not None:
            self._handle_stream(stream, kind, flags, payload)

    def _take_settings(self, payload: bytes) -> None:
        for at in range(0, len(payload), 6):
            name, value = struct.unpack(">HI", payload[at : at + 6])
            if name == _INITIAL_WINDOW_SETTING:
                for one in self._streams.values():
                    one.window += value - self._stream_window
                self._stream_window = value

    def _handle_stream(self, stream: Stream, kind: int, flags: int, payload: bytes) -> None:
        if kind == _WINDOW_UPDATE:
            stream.window += int.from_bytes(payload, "big")
        if kind == _HEADERS:
            stream.answered.set()
        if kind == _RST_STREAM:
            stream.reset = not stream.answered.is_set()
        if kind == _RST_STREAM or (kind in (_HEADERS, _DATA) and flags & _END_STREAM):
            stream.ended.set()
            del self._streams[stream.number]


def _frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def _literal(name: str, value: str) -> bytes:
    """A header that is not compressed (RFC 7541, 6.2.2)."""
    return b"\x00" + b"".join(_length(len(part)) + part for part in (name.encode(), value.encode()))


def _length(length: int) -> bytes:
    """An integer with a prefix of seven bits (RFC 7541, 5.1)."""
    if length < 127:
        return bytes([length])
    rest, encoded = length - 127, bytearray([127])
    while rest >= 128:
        encoded.append(rest % 128 + 128)
        rest //= 128
    return bytes([*encoded, rest])


@contextlib.asynccontextmanager
async def http2(
    address: tuple[str, int], tls: ssl.SSLContext | None = None, server_name: str = "", source: str = "127.0.0.1"
) -> AsyncIterator[Http2]:
    """A connection, with prior knowledge where it is without TLS."""
    named = {"ssl": tls, "server_hostname": server_name} if tls is not None else {}
    reader, writer = await asyncio.open_connection(*address, local_addr=(source, 0), **named)
    connection = Http2(reader, writer)
    await connection.start()
    reading = asyncio.create_task(connection.read())
    try:
        yield connection
    finally:
        reading.cancel()
        writer.close()
