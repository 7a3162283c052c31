"""The Go module that pins the engine, and the folders of engines."""

from __future__ import annotations

import hashlib
import os
import platform
import re
from dataclasses import dataclass
from pathlib import Path

from stoker.engine.failures import EngineUnavailable

BUILDKIT = "github.com/moby/buildkit"
RUNC = "github.com/opencontainers/runc"
_BUILD_SETTINGS = (("GOOS", "linux"), ("GOAMD64", "v1"), ("GOARM64", "v8.0"))
_FLAGS = ("-mod=readonly", "-trimpath", "-buildvcs=false")

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_GO = re.compile(r"^go (\S+)", re.MULTILINE)
_DIRECTIVE = re.compile(r"^(require|replace)\s+(?:\(([^)]*)\)|(.*))", re.MULTILINE)
_COMMENT = re.compile(r"//.*")


@dataclass(frozen=True, slots=True)
class GoModule:
    """A Go module to be downloaded: its path and version."""

    path: str
    version: str


@dataclass(frozen=True, slots=True)
class Pin:
    """The version that ``folder`` (with go.mod and go.sum) pins.

    Attributes:
        build_flags: flags of every Go command that compiles, or asks what would be compiled.
        build_settings: environment of the Go commands that changes what comes out of them.
    """

    folder: Path
    version: str
    go_version: str
    modules: tuple[GoModule, ...]
    fingerprint: str
    build_flags: tuple[str, ...]
    build_settings: tuple[tuple[str, str], ...]

    @property
    def name(self) -> str:
        """The name of its folder in the cache."""
        return f"{self.version}-{self.fingerprint}-{architecture()}"


def architecture() -> str:
    """Go's name of this machine's architecture.

    Raises:
        EngineUnavailable: the engine doesn't support it.
    """
    machine = platform.machine()
    if machine not in _ARCHITECTURES:
        raise EngineUnavailable(f"this machine is {machine}; the engine runs on x86_64 and aarch64 Linux")
    return _ARCHITECTURES[machine]


def default_cache() -> Path:
    """The user's cache folder for stoker: ``$XDG_CACHE_HOME/stoker``, by default ``~/.cache/stoker``."""
    configured = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG base directory specification wants relative paths ignored.
    base = Path(configured) if configured.startswith("/") else Path.home() / ".cache"
    return base / "stoker"


def default_module() -> Path:
    """The folder with the go.mod that pins the engine: inside the installed package, or in the source checkout.

    Raises:
        EngineUnavailable: neither has it.
    """
    here = Path(__file__).resolve()
    candidates = (here.parent / "module", here.parents[3] / "engine")
    for candidate in candidates:
        if (candidate / "go.mod").is_file():
            return candidate
    raise EngineUnavailable(f"{candidates[0]} is missing; install stoker again")


def default_runc_module() -> Path:
    """The folder with the go.mod that pins runc.

    Raises:
        EngineUnavailable: it is missing.
    """
    return default_module() / "runc"


def read_pin(folder: Path) -> Pin:
    """Read which engine a module folder pins.

    Raises:
        EngineUnavailable: go.mod can't be read, or doesn't require BuildKit.
    """
    settings = (("CGO_ENABLED", "0"), *_BUILD_SETTINGS)
    return _read(folder, BUILDKIT, settings, (), f" -X {BUILDKIT}/version.Version={{version}}")


def read_runc_pin(folder: Path) -> Pin:
    """Read which runc a module folder pins. It is C in part, and has to link libseccomp.

    Raises:
        EngineUnavailable: go.mod can't be read, or doesn't require runc.
    """
    return _read(folder, RUNC, (("CGO_ENABLED", "1"), *_BUILD_SETTINGS), ("-tags=seccomp",), "")


def _read(folder: Path, path: str, settings: tuple[tuple[str, str], ...], flags: tuple[str, ...], linking: str) -> Pin:
    try:
        manifest = (folder / "go.mod").read_bytes()
        sums = (folder / "go.sum").read_bytes() if (folder / "go.sum").exists() else b""
    except OSError as error:
        raise EngineUnavailable(f"{folder}/go.mod can't be read ({error.strerror}); install stoker again") from error
    text = _COMMENT.sub("", manifest.decode())
    entries: dict[str, list[list[str]]] = {"require": [], "replace": []}
    for directive, block, line in _DIRECTIVE.findall(text):
        entries[directive].extend(entry.split() for entry in (block or line).splitlines() if entry.strip())
    required = {path: version for path, version, *_ in entries["require"]}
    replaced = {path for path, *_ in entries["replace"]}
    go_version = _GO.search(text)
    if path not in required or go_version is None:
        raise EngineUnavailable(f"{folder}/go.mod does not require {path}; install stoker again")
    version = required[path]
    build_flags = (*_FLAGS, *flags, f"-ldflags=-s -w{linking.format(version=version)}")
    digest = hashlib.sha256()
    for part in (manifest, sums, repr((build_flags, settings)).encode()):
        digest.update(len(part).to_bytes(8, "big") + part)
    return Pin(
        folder=folder,
        version=version,
        go_version=go_version[1],
        modules=tuple(GoModule(path, version) for path, version in required.items() if path not in replaced),
        fingerprint=digest.hexdigest()[:12],
        build_flags=build_flags,
        build_settings=settings,
    )
