"""Cuts the connections over which a build solves.

BuildKit has no call that cancels a solve, but it cancels one whose caller is gone. The gateway has connections for
solves alone, none of which two clients share, and logs which one each solve takes. When such a connection breaks,
the machine cancels the solve, and the client gets an error in which the gateway says why (`failures`). Its other
calls go on, so that the client sees this error first.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from stoker.gateway.aborting import abort_connection
from stoker.pki.certificates import parse_build_uri
from stoker.settings.addresses import HostPort, parse_host_port

if TYPE_CHECKING:
    from pathlib import Path

_TYPE = "type.googleapis.com/envoy."
# Envoy writes its logs that often.
FLUSH_MILLISECONDS = 200
_PAUSE_SECONDS = 0.1
_MOST_PAUSES = 20
_READ_BYTES = 8 * 1024 * 1024

_log = logging.getLogger(__name__)


def solves_log(file: Path, solve_path: str, identity_header: str) -> dict[str, Any]:
    """The fields of Envoy's router that log the build and the connection of each solve, as it goes to its machine."""
    line = f"%REQ({identity_header})% %UPSTREAM_LOCAL_ADDRESS% %UPSTREAM_REMOTE_ADDRESS%\n"
    return {
        "upstream_log": [
            {
                "name": "solves",
                "filter": {"header_filter": {"header": {"name": ":path", "string_match": {"exact": solve_path}}}},
                "typed_config": {
                    "@type": _TYPE + "extensions.access_loggers.file.v3.FileAccessLog",
                    "path": str(file),
                    "log_format": {"text_format_source": {"inline_string": line}},
                },
            }
        ],
        "upstream_log_options": {"flush_upstream_log_on_upstream_stream": True},
    }


class SolveConnections:
    """Finds the connections in the gateway's log."""

    def __init__(self, log: Path) -> None:
        self._log = log

    async def __call__(self, build_id: str) -> bool:
        """Cut the connections over which a build solves. False if there are none, or they can't be cut."""
        for _ in range(_MOST_PAUSES):
            found = await asyncio.to_thread(self._find, build_id)
            if found:
                were_cut = [_cut(*addresses) for addresses in found]
                return any(were_cut)
            # It may have just begun.
            await asyncio.sleep(_PAUSE_SECONDS)
        return False

    def _find(self, build_id: str) -> list[tuple[HostPort, HostPort]]:
        """The addresses of connections whose last solve is the build's: the system gives ports to others later."""
        owners: dict[tuple[HostPort, HostPort], str] = {}
        for line in self._lines():
            try:
                identity, local, remote = line.split()
                owner = parse_build_uri(identity)
                owners[parse_host_port(local), parse_host_port(remote)] = "" if owner is None else owner[0]
            except ValueError:
                continue
        return [addresses for addresses, owner in owners.items() if owner == build_id]

    def _lines(self) -> list[str]:
        """The last lines of the log, and of the one before it."""
        lines: list[str] = []
        for file in (self._log.with_suffix(".log.1"), self._log):
            try:
                with file.open("rb") as content:
                    content.seek(max(file.stat().st_size - _READ_BYTES, 0))
                    lines += content.read().decode(errors="replace").splitlines()
            except FileNotFoundError:
                continue
        return lines


def _cut(local: HostPort, remote: HostPort) -> bool:
    try:
        abort_connection(local, remote)
    except FileNotFoundError:
        # An earlier one of the build, which has ended.
        return False
    except OSError as error:
        _log.warning("the connection of a canceled build's solve could not be cut: %s", error)
        return False
    return True
