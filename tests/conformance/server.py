"""The program that the suite starts for each kind of server that it tests.

It reads what is wanted from stdin, starts pyvoy with our own configuration, says on stdout where it listens, and ends
it at SIGTERM.
"""

from __future__ import annotations

import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from conformance_protos.connectrpc.conformance.v1.server_compat_pb import ServerCompatRequest, ServerCompatResponse

from stoker.pki.certificates import PairFiles
from stoker.serve.api_part import api_command, api_configuration, api_environment, edge_limits
from stoker.serve.ports import HeldPorts
from stoker.settings.addresses import HostPort
from stoker.settings.effective import Settings
from tests.conformance.limit import MAX_MESSAGE_BYTES

_START_SECONDS = 30
_SIZE = struct.Struct(">I")


def main() -> None:
    (size,) = _SIZE.unpack(sys.stdin.buffer.read(_SIZE.size))
    wanted = ServerCompatRequest.from_binary(sys.stdin.buffer.read(size))
    with tempfile.TemporaryDirectory(prefix="stoker-conformance-") as name:
        folder = Path(name)
        ports = HeldPorts()
        (address,) = ports.hold([("listen", HostPort("127.0.0.1", 0))])
        configuration = folder / "envoy.json"
        application = "tests.conformance.application:application"
        configuration.write_text(api_configuration(address, _tls(wanted, folder), edge_limits(Settings()), application))
        limit = wanted.message_receive_limit or Settings().api.max_message_bytes
        environment = api_environment(folder / "no-plan") | {MAX_MESSAGE_BYTES: str(limit)}
        with (folder / "log").open("wb") as log:
            envoy = subprocess.Popen(api_command(configuration), env=environment, stdout=log, stderr=log)
        signal.signal(signal.SIGTERM, lambda *_: envoy.terminate())
        _wait_until_it_listens(address, envoy, folder / "log")
        certificate = wanted.server_creds.cert if wanted.server_creds is not None else b""
        answer = ServerCompatResponse(host=address.host, port=address.port, pem_cert=certificate).to_binary()
        sys.stdout.buffer.write(_SIZE.pack(len(answer)) + answer)
        sys.stdout.buffer.flush()
        envoy.wait()
        sys.stderr.write((folder / "log").read_text())


def _tls(wanted: ServerCompatRequest, folder: Path) -> PairFiles | None:
    if not wanted.use_tls or wanted.server_creds is None:
        return None
    pair = PairFiles(folder / "server.pem", folder / "server.key")
    pair.certificate.write_bytes(wanted.server_creds.cert)
    pair.key.write_bytes(wanted.server_creds.key)
    return pair


def _wait_until_it_listens(address: HostPort, envoy: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while envoy.poll() is None and time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex((address.host, address.port)) == 0:
                return
        time.sleep(0.02)
    envoy.kill()
    sys.exit(f"pyvoy is not ready: {log.read_text()}")


if __name__ == "__main__":
    main()
