"""The duties of a server: held while it runs, taken back at once by a new process, released at the stop."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

from stoker.domain.duties import Duty
from tests.harness.server import Server
from tests.harness.waiting import eventually


def claims(server: Server) -> dict[str, str]:
    """The claims on all duties, which the server holds."""
    holder = (server.data / "holder").read_text().strip()
    rows = server.query("select name, holder, claim from duties")
    assert {held_by for _, held_by, _ in rows} == {holder}
    return {name: claim for name, _, claim in rows}


def test_duties_pass_from_process_to_process(make_server: Callable[..., Server]) -> None:
    own = make_server()
    first = claims(own)
    assert set(first) == {duty.value for duty in Duty}
    renewed = own.query("select sum(until) from duties")
    eventually(lambda: own.query("select sum(until) from duties") > renewed, "they are renewed")
    assert claims(own) == first

    os.kill(own.part("api"), signal.SIGKILL)
    eventually(lambda: "the API is back" in own.output, "the API is back")
    second = claims(own)
    assert set(second.values()).isdisjoint(first.values()), "a process that was killed could change nothing any more"

    assert own.process is not None
    own.process.kill()
    own.process.wait(10)
    own.start()
    assert "took over the API of a server that was killed" in own.output
    third = claims(own)
    assert set(third.values()).isdisjoint(second.values())

    own.stop()
    assert own.query("select distinct holder, claim, until from duties") == [(None, None, None)]
