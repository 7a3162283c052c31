"""Messages of a stream are followed however the body is cut into pieces."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from stoker.rpc.envelopes import Envelopes


@given(st.lists(st.integers(0, 40), max_size=8), st.lists(st.integers(0, 200), max_size=12))
def test_what_is_unfinished_is_known_after_each_piece(sizes: list[int], cuts: list[int]) -> None:
    body = b"".join(struct.pack(">BI", 0, size) + b"x" * size for size in sizes)
    starts = [sum(5 + size for size in sizes[:number]) for number in range(len(sizes))]
    envelopes = Envelopes()
    places = sorted({min(cut, len(body)) for cut in cuts} | {len(body)})
    for start, end in zip([0, *places], places, strict=False):
        envelopes.feed(body[start:end])
        begun = [place for place in starts if place < end]
        assert envelopes.begun == len(begun)
        size = end - begun[-1] if begun else 0
        is_whole = bool(begun) and size == 5 + sizes[len(begun) - 1]
        assert envelopes.unfinished_bytes == (0 if is_whole else size)
    assert envelopes.unfinished_bytes == 0
