"""The line of a Dockerfile that a step was made of is the right one or none."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stoker.domain.dockerfile import find_instruction, instructions_of, mask_dockerfile


def line(contents: str, name: str) -> int | None:
    found = find_instruction(instructions_of(contents), name)
    return None if found is None else found.first_line


@pytest.mark.parametrize(
    ("contents", "name", "number"),
    [
        # Only a line feed ends a line.
        ("FROM x\n# a\fb\nRUN make\n", "RUN make", 3),
        ("FROM x\n# a\u2028b\u0085c\x0bd\nRUN make\n", "RUN make", 3),
        ("FROM x\r\n\r\nRUN a \\\r\n  b\r\nRUN make\r\n", "RUN make", 5),
        ("FROM x\r\n\r\nRUN a \\\r\n  b\r\nRUN make\r\n", "RUN a   b", 3),
        # Continuation, with comments and empty lines in it, and none.
        ("FROM x\nRUN a && \\\n  # why\n\n  b\nRUN make", "RUN a &&   b", 2),
        ("FROM x\nRUN a && \\\n  # why\n\n  b\nRUN make", "RUN make", 6),
        ("FROM x\nRUN echo a\\\\\nRUN make", "RUN make", 3),
        ("FROM x\nRUN a \\  \n b\nRUN make", "RUN a  b", 2),
        # Another character that continues lines; only at the top.
        ("# syntax=docker/dockerfile:1\n# escape=`\nFROM x\nRUN a `\n b\nCOPY a\\\nRUN make", "RUN a  b", 4),
        ("# escape=`\nFROM x\nCOPY . c:\\\nRUN make", "RUN make", 4),
        ("FROM x\n# escape=`\nRUN a `\nRUN make", "RUN make", 4),
        # Instructions in any case.
        ("from x\nrun make\n", "RUN make", 2),
        # Heredocs.
        ("FROM x\nRUN <<EOF\nRUN make\nexit 1\nEOF\nRUN make\n", "RUN make", 6),
        ("FROM x\nRUN <<EOF\necho a\nexit 1\nEOF\n", "RUN <<EOF (echo a...)", 2),
        ("FROM x\nRUN <<-'EOF'\n\tsingle\n\tEOF\nRUN make", "RUN <<-'EOF' (single)", 2),
        ("FROM x\nRUN cat <<A >a && cat <<B >b\n1\nA\n2\nB\nRUN make", "RUN cat <<A >a && cat <<B >b", 2),
        ("FROM x\nRUN cat <<A >a && cat <<B >b\n1\nA\n2\nB\nRUN make", "RUN make", 7),
        ("FROM x\nCOPY <<EOF /a\nRUN make\nEOF\nRUN make", "RUN make", 5),
        ("FROM x\nRUN echo $((1<<3))\nRUN make", "RUN make", 3),
        # Values of arguments.
        ("ARG V\nFROM x\nARG V=1\nRUN fetch $V now\nRUN make", "RUN fetch 1.2 now", 4),
        ("FROM x\nARG A\nENV B=2\nRUN get ${A:-x}/$B.tgz", "RUN get y/2.tgz", 4),
        ("FROM x\nARG A B\nRUN get $A\nRUN get $B", "RUN get 1", None),
        ("FROM x\nARG A\nRUN $A", "RUN anything", None),
        ("FROM x\nRUN get $HOME", "RUN get 1", None),
        # Masked names.
        ("FROM x\nRUN NPM_TOKEN='a b' make", "RUN NPM_TOKEN=*** make", 2),
        ("FROM x\nARG NPM_TOKEN\nRUN NPM_TOKEN=$NPM_TOKEN make", "RUN NPM_TOKEN=*** make", 3),
        # Not certain.
        ("FROM x\nRUN make\nRUN make", "RUN make", None),
        ("FROM x\nRUN other", "RUN make", None),
        ("", "RUN make", None),
    ],
)
def test_the_line_of_an_instruction(contents: str, name: str, number: int | None) -> None:
    assert line(contents, name) == number


def test_a_masked_dockerfile_has_its_lines() -> None:
    contents = (
        "FROM x\nENV DB_PASSWORD='a leak' B=1\nRUN TOKEN=\"one leak \\\n  two leak\" make\n"
        "RUN <<EOF\nexport KEY=leak\nEOF\n# API_KEY=leak\nRUN make keys\nRUN app \\\n  --password leak \\\n  -v\n"
    )
    masked = mask_dockerfile(contents)
    assert "leak" not in masked
    assert masked.count("\n") == contents.count("\n")
    lines = masked.split("\n")
    assert lines[1] == "ENV DB_PASSWORD=*** B=1"
    assert lines[8:12] == ["RUN make keys", "RUN app \\", "  --password *** \\", "  -v"]


_LINES = st.sampled_from(
    [
        "FROM x",
        "RUN make",
        "RUN a \\",
        "# c",
        "",
        "RUN <<EOF",
        "EOF",
        "RUN KEY='a",
        "b'",
        "\tEOF",
        "COPY <<-A <<B /",
        "A",
    ]
)


@settings(max_examples=200, deadline=None)
@given(st.lists(_LINES, max_size=12))
def test_any_text_keeps_its_lines(lines: list[str]) -> None:
    contents = "\n".join(lines)
    assert mask_dockerfile(contents).count("\n") == contents.count("\n")
    for one in instructions_of(contents):
        assert 1 <= one.first_line <= one.last_line <= len(lines)


@pytest.mark.parametrize(
    "piece", ["RUN <<A\n", "RUN a \\\n", "\\\n", "#\n", "RUN <<A <<B <<C <<D\nA\n", "RUN $A$A$A\n"]
)
def test_time_is_linear(piece: str) -> None:
    contents = "ARG A\n" + piece * (500_000 // len(piece))
    began = time.process_time()
    find_instruction(instructions_of(contents), "RUN " + "b" * 4000)
    mask_dockerfile(contents)
    assert time.process_time() - began < 10
