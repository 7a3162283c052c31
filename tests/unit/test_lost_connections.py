from __future__ import annotations

import pytest

from stoker.domain.lost_connections import is_lost_connection


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
    ],
)
def test_a_broken_connection_is_told_from_a_failed_step(error: str | None, is_lost: bool) -> None:
    assert is_lost_connection(error) is is_lost
