"""Looks for newer releases of the clients that we test with: python -m scripts.clients (`make clients`).

npm, pip and Go are asked, each with its own settings. If a client has descriptors, its newest release is compared with
what the server knows, field by field. The exit code is 1 when something is newer than what is pinned, or when the
server lacks something.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.contract.test_wire import OURS
from tests.harness.depot import NODE_MODULES
from tests.harness.descriptors import Contract, in_binary, in_javascript, in_python
from tests.harness.go_tools import BUILDX, CONFORMANCE, GRPCURL, GoTool, run_go

ROOT = Path(__file__).parents[1]
PACKAGES = ROOT / "tests" / "clients" / "node" / "package.json"
PYTHON_PACKAGES = ROOT / "tests" / "clients" / "python" / ".venv" / "lib"
CACHE = Path(os.environ.get("STOKER_CACHE", Path.home() / ".cache" / "stoker"))
SDK, CLI = "@depot/sdk-node", "@depot/cli-linux-"
BUILDKIT = "github.com/moby/buildkit"
_SECONDS = 600


@dataclass(frozen=True)
class Client:
    """A client, as it is pinned and as it is now."""

    name: str
    pinned: str
    newest: str
    contract: Contract | None = None

    @property
    def is_new(self) -> bool:
        """Whether there is a newer release than the pinned one."""
        return self.pinned != self.newest

    def lines(self) -> Iterator[str]:
        """What is to be said of it."""
        yield f"{self.name} {self.pinned}: {f'{self.newest} is out' if self.is_new else 'the newest'}"
        if self.contract is None:
            return
        lacking = OURS.lacks(self.contract)
        yield from (f"    the server lacks {one}" for one in lacking)
        if not lacking:
            known = sum(len(methods) for methods in self.contract.services.values())
            found = f"{known} methods, {len(self.contract.messages)} messages"
            yield f"    {found}; the server lacks none of those in its packages"
        foreign = sorted(set(self.contract.services) - set(OURS.services))
        if foreign:
            yield f"    services that the server hasn't: {', '.join(foreign)}"


def _run(*command: str, cwd: Path | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=_SECONDS, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command[:3])}: {done.stderr.strip()[-500:]}")
    return done.stdout


def _npm() -> str:
    found = shutil.which("npm") or shutil.which("npm", path=str(Path(sys.executable).parent))
    if found is None:
        raise SystemExit("npm is missing; run `make dev`, which installs it")
    return found


def _pinned(before: str, file: Path) -> str:
    """The version that comes after some text in a file."""
    return re.findall(rf"{re.escape(before)}(\S+)", file.read_text(encoding="utf-8"))[0]


def npm_clients(folder: Path) -> Iterator[Client]:
    """The SDK for Node, and the depot CLI for each architecture."""
    content = json.loads(PACKAGES.read_text(encoding="utf-8"))
    pinned = {**content["dependencies"], **content["optionalDependencies"]}
    for name, version in sorted(pinned.items()):
        if not name.startswith((SDK, CLI)):
            continue
        newest = _run(_npm(), "view", name, "version").strip()
        modules = NODE_MODULES
        if newest != version or not (modules / name).exists():
            target = folder / name.replace("/", "-")
            target.mkdir()
            options = ("--ignore-scripts", "--no-save", "--no-audit", "--no-fund", "--force", "--prefix", str(target))
            _run(_npm(), "install", *options, f"{name}@{newest}")
            modules = target / "node_modules"
        if name == SDK:
            with tempfile.TemporaryDirectory(dir=folder) as beside:
                (Path(beside) / "node_modules").symlink_to(modules)
                yield Client(name, version, newest, in_javascript(modules / name, Path(beside)))
        else:
            yield Client(name, version, newest, in_binary(modules / name / "bin" / "depot"))


def python_client(folder: Path) -> Client:
    """The Python client."""
    pinned = _pinned("depot-client==", ROOT / "requirements-clients.lock")
    target = folder / "python"
    options = ("--quiet", "--disable-pip-version-check", "--no-deps", "--no-compile", "--target", str(target))
    _run(sys.executable, "-m", "pip", "install", *options, "depot-client")
    (info,) = target.glob("depot_client-*.dist-info")
    newest = info.name.removeprefix("depot_client-").removesuffix(".dist-info")
    return Client("depot-client", pinned, newest, in_python(target / "depot_client"))


def go_clients(folder: Path) -> Iterator[Client]:
    """Programs that are built from Go modules, and BuildKit itself."""
    pinned = {tool.package.partition("/cmd/")[0]: (tool, tool.version) for tool in (GRPCURL, CONFORMANCE, BUILDX)}
    engine = _pinned(f"{BUILDKIT} ", ROOT / "engine" / "go.mod")
    pinned[BUILDKIT] = (GoTool(BUILDKIT, engine, BUILDX.go_version), engine)
    for module, (tool, version) in pinned.items():
        newest = run_go(tool, CACHE / "tests", folder, "list", "-m", "-f", "{{.Version}}", f"{module}@latest").strip()
        yield Client(module, version, newest)


def main() -> int:
    """Print what is new."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        clients = [*npm_clients(folder), python_client(folder), *go_clients(folder)]
    sys.stdout.write("".join(f"{line}\n" for client in clients for line in client.lines()))
    lacking = any(client.contract is not None and OURS.lacks(client.contract) for client in clients)
    return 1 if lacking or any(client.is_new for client in clients) else 0


if __name__ == "__main__":
    sys.exit(main())
