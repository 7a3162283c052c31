"""Long texts keep their beginning and their end."""

from __future__ import annotations

import pytest

from stoker.domain.builds import MAX_ERROR_LENGTH, bounded_error, explained_error
from stoker.domain.progress import Progress, VertexEvent
from stoker.domain.shortening import shortened
from tests.harness.ledgers import new_ledger, taken


@pytest.mark.parametrize(
    ("text", "most", "short"),
    [
        ("", 5, ""),
        ("abcde", 5, "abcde"),
        ("abcdef", 5, "ab…ef"),
        ("abcdefg", 6, "abc…fg"),
        ("abc", 2, "a…"),
        ("abc", 1, "…"),
    ],
)
def test_the_middle_is_left_out(text: str, most: int, short: str) -> None:
    assert shortened(text, most) == short


def test_long_error_of_a_build_ends_as_it_ended() -> None:
    error = bounded_error('process "/bin/sh -c ' + "part " * 2000 + '" did not complete successfully: exit code: 42')
    assert error.startswith('process "/bin/sh -c part')
    assert error.endswith("did not complete successfully: exit code: 42")
    assert len(error) == MAX_ERROR_LENGTH


def test_explanation_of_a_long_error_stays_whole() -> None:
    hint = "builds reach 127.0.0.1 only where the operator of this server names it"
    error = explained_error("x" * 5000 + "exit code: 42", hint)
    assert error.endswith(f"exit code: 42\n{hint}")
    assert len(error) == MAX_ERROR_LENGTH
    assert explained_error(None, hint) == hint


def test_long_error_of_a_step_ends_as_it_ended() -> None:
    ledger = new_ledger()
    error = 'process "/bin/sh -c ' + "part " * 8000 + '" did not complete successfully: exit code: 42'
    name = "[2/2] RUN " + "part " * 8000 + "exit 42"
    event = VertexEvent("d", (), name, "", cached=False, started_at=None, completed_at=None, error=error)
    ledger.apply(Progress((event,), (), (), ()))
    (step,) = taken(ledger, final=True).steps
    assert step.error is not None
    assert step.error.endswith("did not complete successfully: exit code: 42")
    assert step.name.startswith("[2/2] RUN part")
    assert step.name.endswith("exit 42")
