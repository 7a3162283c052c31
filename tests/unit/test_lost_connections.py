from __future__ import annotations

import pytest

from stoker.domain.failure_hints import is_lost_connection


@pytest.mark.parametrize(
    ("error", "is_lost"),
    [
        (None, False),
        ('failed to solve: process "/bin/sh -c make" did not complete successfully: exit code: 1', False),
        ("failed to solve: Unavailable: upstream connect error or disconnect/reset before headers", True),
        ("rpc error: code = Unavailable desc = error reading from server: EOF", True),
        ("write tcp 10.0.0.1:1->10.0.0.2:2: write: broken pipe", True),
        ("read tcp 10.0.0.1:1->10.0.0.2:2: read: connection reset by peer", True),
        ("failed to read GEOFILE", False),
        (
            "rpc error: code = Internal desc = stream terminated by RST_STREAM with error code: INTERNAL_ERROR",
            True,
        ),
        (
            "rpc error: code = Unavailable desc = closing transport due to: connection error: received prior goaway",
            True,
        ),
        ("http2: server sent GOAWAY and closed the connection; LastStreamID=1, ErrCode=NO_ERROR", True),
        ("rpc error: code = Canceled desc = grpc: the client connection is closing", True),
        ("error reading server preface: read tcp 127.0.0.1:1->127.0.0.1:2: use of closed network connection", True),
        ("rpc error: code = Internal desc = server closed the stream without sending trailers", True),
        ("http2: client connection lost", True),
        ("stream error: stream ID 5; REFUSED_STREAM", True),
        ("transport is closing", True),
        ("unexpected EOF", True),
        ("failed to receive status: rpc error: code = NotFound desc = no such job x", True),
        ("buildctl ended with exit code 1", True),
        ('process "/bin/sh -c echo EOF; false" did not complete successfully: exit code: 1', False),
        ('process "/bin/sh -c x" did not complete successfully: exit code: 137: context canceled: EOF', True),
        ('failed to compute cache key: "/x": not found', False),
    ],
)
def test_a_broken_connection_is_told_from_a_failed_step(error: str | None, is_lost: bool) -> None:
    assert is_lost_connection(error) is is_lost
