"""Checks the host, the data folder, the ports and the engine for a server with these settings."""

from __future__ import annotations

import os
import resource
import ssl
import tempfile
from typing import TYPE_CHECKING

from stoker.assembly import trial_sites
from stoker.domain.host import Finding, Verdict
from stoker.engine import (
    Archive,
    EngineUnavailable,
    NotBuiltYet,
    find_container_runtime,
    find_engine,
    given_engine,
    lacking_to_build,
)
from stoker.plan import control_socket
from stoker.runtimes.folders import nearest_folder
from stoker.serve.address_bound import connection_rules, connections_each, lacking_to_bound
from stoker.serve.data_folder import DataFolderInUse, locked_data_folder, spare_bytes
from stoker.serve.ports import HeldPorts, PortUnavailable
from stoker.serve.processes import remembered_process

if TYPE_CHECKING:
    from pathlib import Path

    from stoker.settings.effective import Settings

_ENOUGH_FILES = 4096
_GIGABYTE = 1000**3
_CLIENTS = Finding(
    "clients",
    Verdict.GOOD,
    "all of docs/compatibility.md; for files whose names aren't ASCII take `stoker build` or buildx, not the depot CLI",
)


async def check_server(settings: Settings) -> tuple[Finding, ...]:
    """Check everything that a server needs. Changes nothing, and takes a fraction of a second."""
    running = _running_server(settings.server.data) or _left_running(settings.server.data)
    folder = Finding("server", Verdict.GOOD, running) if running else _data_folder(settings)
    # A running server holds its own ports.
    ports = () if running else (_ports(settings),)
    programs = (await _engine(settings), _container_runtime(settings))
    return (
        *await _sites(settings),
        folder,
        *ports,
        *_tls(settings),
        _open_files(),
        _addresses(settings),
        *programs,
        _CLIENTS,
    )


def _tls(settings: Settings) -> tuple[Finding, ...]:
    """Whether the certificate and the key of the API can be read, and belong together."""
    certificate, key = settings.server.tls_certificate, settings.server.tls_key
    if certificate is None or key is None:
        return ()
    advice = "give a PEM certificate chain as tls_certificate and its PEM key, without a password, as tls_key"
    for file in (certificate, key):
        try:
            file.read_bytes()
        except OSError as error:
            return (Finding("TLS", Verdict.MISSING, f"{file} can't be read: {error.strerror}", advice),)
    try:
        # A password is never asked for: nobody may be there to type it.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password="")
    except (ssl.SSLError, OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        return (Finding("TLS", Verdict.MISSING, f"{certificate} and {key} don't go together: {reason}", advice),)
    return (Finding("TLS", Verdict.GOOD, f"the API speaks TLS with {certificate}"),)


def _running_server(folder: Path) -> str | None:
    if not (folder / "lock").exists():
        return None
    try:
        with locked_data_folder(folder):
            return None
    except DataFolderInUse as error:
        return str(error)
    except OSError:
        return None


def _left_running(folder: Path) -> str | None:
    """What a server that was killed left running; the next one takes it over, ports and all."""
    parts = [name for name in ("api", "gateway") if remembered_process(folder / "run" / f"{name}.json") is not None]
    return f"the {' and the '.join(parts)} of one that was killed run on; a start takes over" if parts else None


def _data_folder(settings: Settings) -> Finding:
    folder = settings.server.data
    spare = spare_bytes(control_socket(settings))
    if spare < 0:
        most = len(os.fsencode(folder)) + spare
        advice = f"take a folder whose path has at most {most} bytes, as there are sockets in it"
        return Finding("data folder", Verdict.MISSING, f"the path of {folder} is too long", advice)
    nearest = nearest_folder(folder)
    try:
        with tempfile.TemporaryFile(dir=nearest):
            pass
    except OSError as error:
        advice = "choose another folder with --data, or give this one to the server's user"
        return Finding("data folder", Verdict.MISSING, f"{nearest}: {error.strerror}", advice)
    return Finding("data folder", Verdict.GOOD, str(folder) if folder.is_dir() else f"{folder}, to be made")


async def _sites(settings: Settings) -> list[Finding]:
    """The findings of all sites, each once: sites on one host find the same."""
    findings: list[Finding] = []
    for site in trial_sites(settings):
        findings += [finding for finding in await site.check() if finding not in findings]
    return findings


def _ports(settings: Settings) -> Finding:
    wanted = [("listen", settings.server.listen_address), ("gateway", settings.server.gateway_address)]
    try:
        with HeldPorts() as ports:
            ports.hold(wanted)
    except PortUnavailable as error:
        found, _, advice = str(error).partition("; ")
        return Finding("ports", Verdict.MISSING, found, advice)
    return Finding("ports", Verdict.GOOD, ", ".join(f"{name} {address}" for name, address in wanted))


def _open_files() -> Finding:
    _, limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY or limit >= _ENOUGH_FILES:
        found = "no limit" if limit == resource.RLIM_INFINITY else f"at most {limit}"
        return Finding("open files", Verdict.GOOD, found)
    advice = (
        "more connections than that leaves room for are refused; "
        f"raise the hard limit (ulimit -Hn, LimitNOFILE) to {_ENOUGH_FILES}"
    )
    return Finding("open files", Verdict.WEAKER, f"at most {limit}", advice)


def _addresses(settings: Settings) -> Finding:
    subject = "connections of an address"
    each = connections_each(settings, settings.api.max_api_connections)
    if each is None:
        return Finding(subject, Verdict.GOOD, "trusted proxies hand them on")
    lacking = lacking_to_bound(connection_rules("stoker_trial_api", settings.server.listen_address, each))
    if lacking is None:
        return Finding(subject, Verdict.GOOD, f"at most {each} to the API")
    found, _, advice = lacking.partition("; ")
    return Finding(subject, Verdict.WEAKER, found, advice)


async def _engine(settings: Settings) -> Finding:
    subject = "engine"
    archive = Archive(settings.engine.engine_url, settings.engine.engine_sha256) if settings.engine.engine_url else None
    try:
        if settings.engine.engine_folder is not None:
            engine = await given_engine(settings.engine.engine_folder)
        else:
            engine = find_engine(settings.server.cache, archive=archive)
    except EngineUnavailable as error:
        found, _, advice = error.message.partition("; ")
        return Finding(subject, Verdict.MISSING, found, advice)
    if engine is None:
        how = "downloads it" if archive else "builds it with Go, which takes minutes"
        return Finding(subject, Verdict.GOOD, f"not there yet; the first `stoker serve` {how}")
    return Finding(subject, Verdict.GOOD, f"BuildKit {engine.version} in {engine.buildkitd.parent}")


def _container_runtime(settings: Settings) -> Finding:
    subject = "container runtime"
    try:
        runtime = find_container_runtime(settings.server.cache, given=settings.engine.container_runtime)
    except NotBuiltYet as none:
        lacking = lacking_to_build()
        if lacking is not None:
            found, _, advice = lacking.partition("; ")
            return Finding(subject, Verdict.MISSING, f"{none.why}, and {found}", advice)
        return Finding(subject, Verdict.GOOD, f"{none.why}; the first `stoker serve` builds runc with Go, in a minute")
    except EngineUnavailable as error:
        found, _, advice = error.message.partition("; ")
        return Finding(subject, Verdict.MISSING, found, advice)
    found = f"{runtime.version.name}, {runtime.origin}, {runtime.program}"
    if runtime.version.holes:
        advice = f"it has known holes ({', '.join(runtime.version.holes)}); leave container_runtime out for one without"
        return Finding(subject, Verdict.WEAKER, found, advice)
    return Finding(subject, Verdict.GOOD, found)
