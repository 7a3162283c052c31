"""The engine from a release archive, over a real connection that breaks in all the usual ways."""

import asyncio
import hashlib
import io
import os
import random
import signal
import sys
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import stoker
from stoker.domain.errors import InvalidInput
from stoker.engine import (
    Archive,
    EngineCorrupt,
    EngineUnavailable,
    Origin,
    Phase,
    ensure_engine,
    find_engine,
    given_engine,
    verify_engine,
)

NOISE = random.Random(7).randbytes(400_000)  # noqa: S311 - so that the archive does not get small
GET_ENGINE = """
import asyncio, sys
from pathlib import Path
from stoker.engine import Archive, ensure_engine

class Lines:
    def report(self, phase, done, total):
        print(phase.name, done, total, flush=True)

asyncio.run(ensure_engine(Path(sys.argv[1]), Lines(), archive=Archive(sys.argv[2], sys.argv[3])))
"""


def program(name: str, version: str) -> bytes:
    return f"#!/bin/sh\necho '{name} github.com/moby/buildkit {version} 0123456789'\nexit 0\n".encode()


def release(version: str = "v0.34.2", *, without: str = "", **replaced: bytes) -> bytes:
    """A release archive, with other files beside the two that are wanted."""
    contents = {name: program(name, version) for name in ("buildctl", "buildkitd")} | {"runc": NOISE} | replaced
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, content in contents.items():
            if name != without:
                member = tarfile.TarInfo(f"bin/{name}")
                member.size, member.mode = len(content), 0o755
                tar.addfile(member, io.BytesIO(content))
    return packed.getvalue()


@dataclass
class Site:
    """A web server with one file, and a plan of what to do with each request: cut after N bytes, or a status."""

    body: bytes = field(default_factory=release)
    plan: list[str] = field(default_factory=list[str])
    ranges: list[str | None] = field(default_factory=list["str | None"])
    resumes: bool = True
    released: threading.Event = field(default_factory=threading.Event)
    url: str = ""

    @property
    def archive(self) -> Archive:
        return Archive(self.url, hashlib.sha256(self.body).hexdigest())


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked = self.headers["range"]
            site.ranges.append(asked)
            step = site.plan.pop(0) if site.plan else ""
            if step.isdigit():
                self.answer(int(step), {}, b"")
                return
            start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and site.resumes else 0
            size = len(site.body)
            if start >= size:
                self.answer(416, {"Content-Range": f"bytes */{size}"}, b"")
                return
            headers = {"Content-Range": f"bytes {start}-{size - 1}/{size}"} if start else {}
            content = site.body[start:]
            action, _, count = step.partition(" ")
            if action:  # "cut N" or "hold N"
                self.answer(206 if start else 200, headers, content, send=int(count))
                if action == "hold":
                    site.released.wait(60)
                self.close_connection = True
            else:
                self.answer(206 if start else 200, headers, content)

        def answer(self, status: int, headers: dict[str, str], content: bytes, send: int | None = None) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[:send])
            self.wfile.flush()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    site.url = f"http://127.0.0.1:{server.server_port}/buildkit.tar.gz"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield site
    site.released.set()
    server.shutdown()
    thread.join()
    server.server_close()


class Told:
    def __init__(self) -> None:
        self.reports: list[tuple[Phase, int, int | None]] = []

    def report(self, phase: Phase, done: int, total: int | None) -> None:
        self.reports.append((phase, done, total))


def left_over(cache: Path) -> list[str]:
    return sorted(path.name for path in (cache / "engine").iterdir() if path.name != "lock")


async def test_downloads_unpacks_and_finds_it_again(tmp_path: Path, site: Site):
    told = Told()
    engine = await ensure_engine(tmp_path, told, archive=site.archive)
    assert (engine.version, engine.origin, engine.source) == ("v0.34.2", Origin.ARCHIVE, site.url)
    assert engine.buildkitd.read_bytes() == program("buildkitd", "v0.34.2")
    assert os.access(engine.buildctl, os.X_OK)
    assert engine.buildctl_sha256 == hashlib.sha256(program("buildctl", "v0.34.2")).hexdigest()
    assert (Phase.ARCHIVE, len(site.body), len(site.body)) in told.reports
    assert not list((tmp_path / "engine" / "downloads").iterdir())
    assert not [name for name in left_over(tmp_path) if name.startswith("unfinished")]

    assert find_engine(tmp_path, archive=site.archive) == engine
    assert find_engine(tmp_path) is None, "only the engine that is asked for counts"
    assert await ensure_engine(tmp_path, told, archive=site.archive) == engine
    assert site.ranges == [None]
    await verify_engine(engine)


async def test_a_changed_file_is_noticed_and_got_anew(tmp_path: Path, site: Site):
    engine = await ensure_engine(tmp_path, Told(), archive=site.archive)
    times = engine.buildkitd.stat().st_atime_ns, engine.buildkitd.stat().st_mtime_ns
    engine.buildkitd.write_bytes(engine.buildkitd.read_bytes().replace(b"exit 0", b"exit 1"))
    assert find_engine(tmp_path, archive=site.archive) is None
    os.utime(engine.buildkitd, ns=times)
    assert find_engine(tmp_path, archive=site.archive) == engine, "size and time are all that the quick look sees"
    with pytest.raises(EngineCorrupt, match=r"has SHA-256 .* stoker gets it again"):
        await verify_engine(engine)

    engine.buildctl.unlink()
    assert find_engine(tmp_path, archive=site.archive) is None
    assert await ensure_engine(tmp_path, Told(), archive=site.archive)
    await verify_engine(engine)


@pytest.mark.parametrize("record", ["", "null", "[]", "{}", '{"buildkitd": 3}', '{"buildkitd": {}}', "\x00"])
async def test_a_broken_record_is_no_engine(tmp_path: Path, site: Site, record: str):
    engine = await ensure_engine(tmp_path, Told(), archive=site.archive)
    engine.buildkitd.with_name("engine.json").write_text(record)
    assert find_engine(tmp_path, archive=site.archive) is None


async def test_goes_on_where_the_connection_broke(tmp_path: Path, site: Site):
    site.plan = ["cut 100000", "cut 50000"]
    assert await ensure_engine(tmp_path, Told(), archive=site.archive)
    assert site.ranges == [None, "bytes=100000-", "bytes=150000-"]


async def test_goes_on_in_the_next_call(tmp_path: Path, site: Site):
    site.plan = ["cut 100000", *["503"] * 4]  # five failures in a row are one too many
    with pytest.raises(EngineUnavailable, match=r"the server answered 503.*it goes on from here"):
        await ensure_engine(tmp_path, Told(), archive=site.archive)
    assert find_engine(tmp_path, archive=site.archive) is None
    site.ranges.clear()
    assert await ensure_engine(tmp_path, Told(), archive=site.archive)
    assert site.ranges == ["bytes=100000-"]


async def test_goes_on_after_the_process_was_killed(tmp_path: Path, site: Site):
    site.plan = ["hold 200000"]
    environment = {**os.environ, "PYTHONPATH": str(Path(stoker.__file__).parents[1])}
    arguments = [sys.executable, "-c", GET_ENGINE, str(tmp_path), site.url, site.archive.sha256]
    process = await asyncio.create_subprocess_exec(*arguments, env=environment, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    async with asyncio.timeout(30):
        while (line := await process.stdout.readline()) and f"ARCHIVE 200000 {len(site.body)}".encode() not in line:
            pass
    process.send_signal(signal.SIGKILL)
    await process.wait()
    assert [name for name in left_over(tmp_path) if name.startswith("unfinished")]
    assert find_engine(tmp_path, archive=site.archive) is None

    told = Told()
    assert await ensure_engine(tmp_path, told, archive=site.archive)
    assert len(site.ranges) == 2
    assert site.ranges[1] is not None, "it asked for the rest only"
    assert left_over(tmp_path) == [f"archive-{site.archive.sha256[:16]}-{stoker_architecture()}", "downloads"]


def stoker_architecture() -> str:
    return {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]


@pytest.mark.parametrize("resumes", [True, False])
async def test_what_another_file_left_does_no_harm(tmp_path: Path, site: Site, *, resumes: bool):
    site.resumes = resumes
    downloads = tmp_path / "engine" / "downloads"
    downloads.mkdir(parents=True)
    (downloads / f"{site.archive.sha256}.part").write_bytes(b"of another release" * 1000)
    assert await ensure_engine(tmp_path, Told(), archive=site.archive)
    assert site.ranges == (["bytes=18000-", None] if resumes else ["bytes=18000-"])


@pytest.mark.parametrize("more", [b"", b"and more than there is"])
async def test_all_of_it_is_there_already(tmp_path: Path, site: Site, more: bytes):
    downloads = tmp_path / "engine" / "downloads"
    downloads.mkdir(parents=True)
    (downloads / f"{site.archive.sha256}.part").write_bytes(site.body + more)
    assert await ensure_engine(tmp_path, Told(), archive=site.archive)


async def test_another_hash_is_refused(tmp_path: Path, site: Site):
    archive = Archive(site.url, "0" * 64)
    with pytest.raises(EngineUnavailable, match=f"has SHA-256 {site.archive.sha256}, not 0000"):
        await ensure_engine(tmp_path, Told(), archive=archive)
    assert find_engine(tmp_path, archive=archive) is None
    assert left_over(tmp_path) == ["downloads"]
    assert not list((tmp_path / "engine" / "downloads").iterdir())


async def test_asking_for_what_is_not_there_is_not_repeated(tmp_path: Path, site: Site):
    site.plan = ["404"]
    with pytest.raises(EngineUnavailable, match="the server answered 404; check the URL"):
        await ensure_engine(tmp_path, Told(), archive=site.archive)
    assert len(site.ranges) == 1


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (release("v0.34.1"), "must be at least v0.34.2"),
        (release(without="buildctl"), "has no bin/buildctl"),
        (release(buildkitd=b"#!/bin/sh\necho hello\n"), "does not answer --version like BuildKit"),
        (release(buildkitd=b"#!/bin/sh\nexit 3\n"), "does not answer --version like BuildKit"),
        (release(buildkitd=b"\x7fELF" + bytes(14) + b"\x08\x00" + bytes(40)), "is not for this machine"),
        (release(buildkitd=b"\x00"), "can't be run"),
        (b"<html>", "is not a gzipped tar file"),
        (release()[:200_000], "is not a gzipped tar file"),
    ],
)
async def test_an_archive_with_something_else_in_it(tmp_path: Path, site: Site, body: bytes, message: str):
    site.body = body
    with pytest.raises(EngineUnavailable, match=message):
        await ensure_engine(tmp_path, Told(), archive=site.archive)
    assert find_engine(tmp_path, archive=site.archive) is None


@pytest.mark.parametrize(("url", "sha256"), [("ftp://x/y", "0" * 64), ("https://x/y", "abc"), ("/file", "0" * 64)])
def test_settings_that_can_not_be_right(url: str, sha256: str):
    with pytest.raises(InvalidInput, match="the engine archive's"):
        Archive(url, sha256)


def folder_with(tmp_path: Path, **versions: str) -> Path:
    for name, version in versions.items():
        (tmp_path / name).write_bytes(program(name, version))
        (tmp_path / name).chmod(0o755)
    return tmp_path


async def test_a_given_folder(tmp_path: Path):
    folder = folder_with(tmp_path, buildkitd="v0.36.0", buildctl="v0.36.0")
    engine = await given_engine(folder)
    assert (engine.version, engine.origin, engine.source) == ("v0.36.0", Origin.GIVEN, str(folder))
    await verify_engine(engine)
    engine.buildctl.write_bytes(b"")
    with pytest.raises(EngineCorrupt, match="put it back if you didn't"):
        await verify_engine(engine)


async def test_a_given_folder_that_is_not_good_enough(tmp_path: Path):
    with pytest.raises(EngineUnavailable, match=r"buildkitd can't be run \(No such file or directory\)"):
        await given_engine(tmp_path)
    with pytest.raises(EngineUnavailable, match=r"must be at least v0\.34\.2"):
        await given_engine(folder_with(tmp_path, buildkitd="v0.12.5", buildctl="v0.34.2"))
    with pytest.raises(EngineUnavailable, match="both must be of one version"):
        await given_engine(folder_with(tmp_path, buildkitd="v0.35.0", buildctl="v0.34.2"))
