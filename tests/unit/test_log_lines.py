"""Lines of logs as HTML: colours get through, nothing else does."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoker.domain.errors import InvalidInput
from stoker.domain.terminal_text import shown_text
from stoker.domain.text_search import MAX_LENGTH, TextSearch
from stoker.web.ansi import MAX_LINE_LENGTH, line_html, log_html, marked_html


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
        ("\x1b]8;;ftp://example.com\x07link\x1b]8;;\x07", "link"),
        ("10%\r50%\r100%\r\n", "100%"),
        ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
        ('\x1b[31m"><b onclick=x>', '<span class="ink-31">&#34;&gt;&lt;b onclick=x&gt;</span>'),
        ("\x1b", ""),
        # Charsets, and strings of DCS, APC, PM and SOS.
        ("\x1b[1mBUILD\x1b(B\x1b[m of", '<span class="bold">BUILD</span> of'),
        ("\x1b)0\x1b%G\x1b#8\x1b7\x1b8\x1bca", "a"),
        ("a\x1bP1$r0m\x1b\\b\x1b_apc\x1b\\c\x1b^pm\x1b\\d\x1bXsos\x1b\\e", "abcde"),
        ("a\x1bPdata\x07more\x1b\\b\x1b]0;title\x1b\\c", "abc"),
        ("a\x1bPno end", "a"),
        # Controls of one character, as UTF-8 has them.
        ("\x9b31mred\x9b0m\x9d0;title\x9c not\x85", '<span class="ink-31">red</span> not'),
        ("a\x90dcs\x9cb\x98sos\x9cc\x9epm\x9cd\x9fapc\x9ce", "abcde"),
        # Moves.
        ("abc\b\bX", "aXc"),
        ("\b\babc", "abc"),
        ("10 %  \b\b\b\b\b\b20 %", "20 %  "),
        ("12345\rabc", "abc45"),
        ("12345\rabc\x1b[K", "abc"),
        ("12345\x1b[2Dx\x1b[1Gy\x1b[2Cz", "y23z5"),
        ("12345\x1b[1K", "     "),
        ("12345\x1b[3D\x1b[2P", "125"),
        ("\x1b[5Cx", "     x"),
        ("12345\r\x1b[2Kx", "x"),
        ("\x1b[31mab\r\x1b[32mc", '<span class="ink-32">c</span><span class="ink-31">b</span>'),
        # Colours of other forms.
        ("\x1b[38;5;1mred", '<span class="ink-31">red</span>'),
        ("\x1b[38:5:9mred", '<span class="ink-91">red</span>'),
        ("\x1b[38:2::1:2:3;1mbold", '<span class="bold">bold</span>'),
        ("\x1b[4:3mcurly", "curly"),
        ("\x1b[?25lx\x1b[?2004hy\x1b[>4;1mz", "xyz"),
    ],
)
def test_a_line(text: str, html: str) -> None:
    assert line_html(text) == html


def test_colours_go_on_over_lines() -> None:
    html = log_html()
    lines = ["\x1b[1;31merror:\n", "more\n", "\n", "\x1b[0mdone\n", "plain\n"]
    assert [str(html(line)) for line in lines] == [
        '<span class="bold ink-31">error:</span>',
        '<span class="bold ink-31">more</span>',
        "",
        "done",
        "plain",
    ]


@pytest.mark.parametrize(
    ("line", "wanted", "marked"),
    [
        ("\x1b[31mERROR\x1b[0m", "31", None),
        ("\x1b[32m[INFO]\x1b[0m x", "[", "<mark>[</mark>INFO] x"),
        ("\x1b[31mER\x1b[1mROR\x1b[0m: 31", "ERROR", "<mark>ERROR</mark>: 31"),
        ("a\x1b(Bb", "ab", "<mark>ab</mark>"),
        ("a\x1b(Cb", "C", None),
        ("12 %\r13 %", "12 %", None),
        ("12 %\r13 %", "13 %", "<mark>13 %</mark>"),
        ("abc\b\bX", "aXc", None),
        ("\x9b31mred", "red", "<mark>red</mark>"),
        ("\x1b]0;title é\x07x", "title", None),
        ("<b>", "<b", "<mark>&lt;b</mark>&gt;"),
        ("größe", "öß", "gr<mark>öß</mark>e"),
        ("Error: ERROR", "error", "<mark>Error</mark>: <mark>ERROR</mark>"),
        ("GRÖSSE Größe", "größe", "GRÖSSE <mark>Größe</mark>"),
        ("\x1b[31mEr\x1b[0mror", "ERROR", "<mark>Error</mark>"),
        ("İstanbul", "stan", "İ<mark>stan</mark>bul"),
        ("aaa", "aa", "<mark>aa</mark>a"),
        ("\u017f", "\u017f", "<mark>\u017f</mark>"),
    ],
)
def test_a_search_looks_at_what_is_shown(line: str, wanted: str, marked: str | None) -> None:
    search = TextSearch(wanted)
    assert search.is_shown_in(line.encode()) == (marked is not None)
    if marked is not None:
        assert marked_html(line, search) == marked


@pytest.mark.parametrize(
    "piece",
    ["\x1b[16000C\x1b[1K", "\x1b[9999Gx\r", "\b", "\r", "\x1bP", "\x1b[", "\x9b1;", "\x1b]", "a\x1b[P\r",
     "\x1b[16000C.\x1b[2K", "\x1b[1m.", "\x1b[38;5;", "x" * 99 + "\r\x1b[K"],
)  # fmt: skip
def test_time_for_a_hostile_line_is_bounded(piece: str) -> None:
    line = (piece * 16_384)[:16_384]
    began = time.process_time()
    for _ in range(10):
        line_html(line)
        marked_html(line, TextSearch("x"))
        log_html(TextSearch("x"))(line)
        TextSearch("x").is_shown_in(line.encode())
    assert time.process_time() - began < 6


@given(st.text(st.sampled_from("\x1b[]()P\\0134;mKCDG\b\r\x07\x9b\x9cab \n"), max_size=80))
def test_nothing_but_text_is_shown(text: str) -> None:
    assert not re.search(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]", shown_text(text.replace("\n", "")))


def test_a_long_line_is_cut() -> None:
    assert line_html("x" * (MAX_LINE_LENGTH + 1)) == "x" * MAX_LINE_LENGTH + "…"


@given(st.text(st.sampled_from("\x1b[]0134;m<>&\"'a\r\n\x07\x9b"), max_size=60))
def test_no_html_of_a_line_gets_through(text: str) -> None:
    rest = re.sub(r'<span class="[a-z0-9 -]*">|</span>|&(?:lt|gt|amp|#34|#39);', "", line_html(text))
    assert not set(rest) & set("<>&\"'\x1b\x9b")


def test_matches_are_marked_in_the_colours_of_their_line() -> None:
    html = log_html(TextSearch("error"))
    assert html("\x1b[31mmy er\x1b[1mror\x1b[0m: ERROR") == (
        '<span class="ink-31">my </span><span class="ink-31"><mark>er</mark></span>'
        '<span class="bold ink-31"><mark>ror</mark></span>: <mark>ERROR</mark>'
    )
    assert html("errorerror") == "<mark>error</mark><mark>error</mark>"
    assert html("none") == "none"


def test_a_long_line_is_cut_around_its_first_match() -> None:
    before = "x" * (MAX_LINE_LENGTH + 500)
    html = str(log_html(TextSearch("error"))(f"{before}error{before}"))
    assert html.startswith("…x")
    assert html.endswith("x…")
    assert "<mark>error</mark>" in html
    assert len(html) == MAX_LINE_LENGTH + len("……<mark></mark>")


@pytest.mark.parametrize("text", ["", "two\nlines", "x" * (MAX_LENGTH + 1)])
def test_a_search_is_for_some_text_in_one_line(text: str) -> None:
    with pytest.raises(InvalidInput):
        TextSearch(text)


@given(
    st.text(st.sampled_from("aAbBßİ \x1b[31m<"), max_size=30),
    st.text(st.sampled_from("aAbBßİ "), min_size=1, max_size=3),
)
def test_what_is_found_is_marked(line: str, wanted: str) -> None:
    search = TextSearch(wanted)
    marked = "<mark>" in marked_html(line, search)
    assert marked == bool(search.places_in(shown_text(line)))
    if marked:
        assert search.is_shown_in(line.encode())


def link(url: str, text: str) -> str:
    return f'<a href="{url}" rel="noreferrer" title="{url}">{text}</a>'


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("\x1b]8;;https://a.example/a?b=1\x1b\\this\x1b]8;;\x1b\\.", link("https://a.example/a?b=1", "this") + "."),
        ("\x1b]8;id=1;http://a.example\x07a\x1b]8;;\x07b", link("http://a.example", "a") + "b"),
        ("\x1b]8;;http://a.example\x07a\x1b]8;;http://b\x07b", link("http://a.example", "a") + link("http://b", "b")),
        ("\x1b[31m\x1b]8;;http://a.example\x07a", link("http://a.example", '<span class="ink-31">a</span>')),
        ('\x1b]8;;https://a.example/"><script>\x07a', link("https://a.example/&#34;&gt;&lt;script&gt;", "a")),
        # What leads elsewhere than to the web, or elsewhere than it seems.
        ("\x1b]8;;javascript:alert(1)\x07a", "a"),
        ("\x1b]8;;data:text/html,x\x07a", "a"),
        ("\x1b]8;;file:///etc/passwd\x07a", "a"),
        ("\x1b]8;;//example.com\x07a", "a"),
        ("\x1b]8;;https://github.com@evil.example/\x07a", "a"),
        ("\x1b]8;;https://\u0430.example\x07a", "a"),
        (f"\x1b]8;;https://a.example/{2000 * 'x'}\x07a", "a"),
    ],
)  # fmt: skip
def test_links_lead_to_the_web_alone(text: str, html: str) -> None:
    assert line_html(text) == html


def test_a_link_ends_with_its_line() -> None:
    html = log_html()
    assert [str(html(line)) for line in ("\x1b]8;;https://a.example\x07a\n", "b\n")] == [
        link("https://a.example", "a"),
        "b",
    ]
