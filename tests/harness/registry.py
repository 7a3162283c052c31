"""A registry from which images are pulled, over plain HTTP on loopback: the blobs of OCI layouts."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

_PATH = re.compile(r"/v2/[^/]+/(manifests|blobs)/(?:sha256:)?(\w+)")


@contextmanager
def registry_of(layout: Path) -> Iterator[str]:
    """Serve the one image of a layout under every name and tag; the address, such as ``127.0.0.1:40000``.

    Which requests there are says https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pull.
    """
    (index,) = json.loads((layout / "index.json").read_text())["manifests"]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = _PATH.fullmatch(self.path.partition("?")[0])
            if self.path == "/v2/":
                self._answer(200, b"{}", "application/json")
            elif found is None:
                self._answer(404, b"", "text/plain")
            else:
                kind, digest = found.groups()
                if len(digest) != 64:
                    digest = index["digest"].removeprefix("sha256:")
                content = (layout / "blobs" / "sha256" / digest).read_bytes()
                media_type = json.loads(content).get("mediaType") if kind == "manifests" else "application/octet-stream"
                self._answer(200, content, media_type, f"sha256:{digest}")

        def do_HEAD(self) -> None:
            self.do_GET()

        def _answer(self, status: int, content: bytes, media_type: str, digest: str = "") -> None:
            self.send_response(status)
            self.send_header("content-type", media_type)
            self.send_header("content-length", str(len(content)))
            if digest:
                self.send_header("docker-content-digest", digest)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
