"""Signals as a terminal's shell leaves them, however the tests were started."""

from __future__ import annotations

import signal


def give_children_default_signals() -> None:
    """Let programs under test begin with SIGINT, SIGQUIT and SIGHUP at their defaults.

    `nohup` and a script's `&` leave some of them ignored, which every child inherits: no program under test could be
    interrupted. A handler, other than SIG_IGN, becomes the default when a child is executed (POSIX, exec).
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGHUP, signal.SIGQUIT):
        if signal.getsignal(number) is signal.SIG_IGN:
            # The tests themselves go on, as whoever started them asked.
            signal.signal(number, lambda *_: None)
