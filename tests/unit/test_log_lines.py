"""Lines of logs as HTML: colours get through, nothing else does."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoker.web.ansi import MAX_LINE_LENGTH, line_html


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("plain\n", "plain"),
        ("\x1b[31mred\x1b[0m not", '<span class="ink-31">red</span> not'),
        ("\x1b[1;32mbold\x1b[22m green", '<span class="bold ink-32">bold</span><span class="ink-32"> green</span>'),
        ("\x1b[32mgreen\x1b[39m not", '<span class="ink-32">green</span> not'),
        ("\x1b[38;5;31mone of 256\x1b[m", "one of 256"),
        ("\x1b[48;2;31;32;33mrgb", "rgb"),
        ("\x1b[2K\x1b[1Gmoved\x07\x00", "moved"),
        ("\x1b]8;;http://example.com\x07link\x1b]8;;\x07", "link"),
        ("10%\r50%\r100%\r\n", "100%"),
        ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
        ('\x1b[31m"><b onclick=x>', '<span class="ink-31">&#34;&gt;&lt;b onclick=x&gt;</span>'),
        ("\x1b", ""),
    ],
)
def test_a_line(text: str, html: str) -> None:
    assert line_html(text) == html


def test_a_long_line_is_cut() -> None:
    assert line_html("x" * (MAX_LINE_LENGTH + 1)) == "x" * MAX_LINE_LENGTH + "…"


@given(st.text(st.sampled_from("\x1b[]0134;m<>&\"'a\r\n\x07\x9b"), max_size=60))
def test_no_html_of_a_line_gets_through(text: str) -> None:
    rest = re.sub(r'<span class="[a-z0-9 -]*">|</span>|&(?:lt|gt|amp|#34|#39);', "", line_html(text))
    assert not set(rest) & set("<>&\"'\x1b\x9b")
