"""Run the other architecture's programs through binfmt_misc and QEMU.

See the kernel's binfmt-misc.rst. With the flag F the kernel opens the interpreter when it is registered, so it works
in RUN steps, where its file is not.
"""

from __future__ import annotations

import platform
from contextlib import suppress
from pathlib import Path

from stoker.domain.platforms import Platform, platform_of
from stoker.runtimes.errors import HostUnfit, RuntimeFailed
from stoker.runtimes.programs import find_program, run

_BINFMT = Path("/proc/sys/fs/binfmt_misc")
_QEMU = {Platform.AMD64: "qemu-x86_64", Platform.ARM64: "qemu-aarch64"}
# Bytes 18 and 19 of an ELF header, little-endian (elf(5), e_machine).
_MACHINE = {Platform.AMD64: 0x3E, Platform.ARM64: 0xB7}
_MACHINE_AT = 18


def native_platform() -> Platform:
    """The platform of this host.

    Raises:
        HostUnfit: no machine can be for it.
    """
    machine = platform.machine()
    native = platform_of(machine)
    if native is None:
        raise HostUnfit(f"{machine} hosts are not supported; use x86-64 or arm64")
    return native


def emulated_platforms(folder: Path = _BINFMT) -> frozenset[Platform]:
    """The platforms besides the native one whose programs run here, in RUN steps too."""
    others = set(Platform) - {native_platform()}
    handlers = [_handler(file) for file in folder.glob("*") if file.name not in {"register", "status"}]
    return frozenset(other for other in others if any(_runs(handler, other) for handler in handlers))


def can_be_emulated(folder: Path = _BINFMT) -> frozenset[Platform]:
    """The platforms besides the native one for which `ensure_emulation` would find what it needs."""
    if not (folder / "register").exists() and "binfmt_misc" not in Path("/proc/filesystems").read_text():
        return frozenset()
    return frozenset(other for other in set(Platform) - {native_platform()} if _interpreter(other) is not None)


def ensure_emulation() -> None:
    """Register QEMU for the other architecture when it is installed and nothing handles it. Otherwise do nothing.

    The registration stays: it is the host's, as it would be with the distribution's own service.
    """
    for other in sorted(set(Platform) - {native_platform()} - emulated_platforms()):
        name = _QEMU[other]
        with suppress(RuntimeFailed, OSError):
            if not (_BINFMT / "register").exists():
                run([find_program("mount", package="mount"), "-t", "binfmt_misc", "binfmt_misc", str(_BINFMT)])
            interpreter = find_program(f"{name}-static", package="qemu-user-static")
            if not (_BINFMT / name).exists():
                (_BINFMT / "register").write_bytes(registration(name, other, interpreter))


def _interpreter(emulated: Platform) -> str | None:
    try:
        return find_program(f"{_QEMU[emulated]}-static", package="qemu-user-static")
    except HostUnfit:
        return None


def registration(name: str, emulated: Platform, interpreter: str) -> bytes:
    r"""What is written into ``register``.

    The magic is an ELF header: 64 bits, little-endian, version 1, any ABI, an executable or (the mask leaves that bit
    out) a shared object, for that machine.
    """
    ident = r"\x7f\x45\x4c\x46\x02\x01\x01\x00" + r"\x00" * 8
    magic = ident + rf"\x02\x00\x{_MACHINE[emulated]:02x}\x00"
    mask = r"\xff" * 7 + r"\x00" + r"\xff" * 8 + r"\xfe\xff\xff\xff"
    return f":{name}:M::{magic}:{mask}:{interpreter}:OCF".encode()


def _handler(file: Path) -> dict[str, str]:
    try:
        lines = file.read_text().splitlines()
    except OSError:
        return {}
    return {"state": lines[0], **dict(line.split(" ", 1) for line in lines[1:] if " " in line)} if lines else {}


def _runs(handler: dict[str, str], emulated: Platform) -> bool:
    magic = bytes.fromhex(handler.get("magic", ""))
    return (
        handler.get("state") == "enabled"
        and "F" in handler.get("flags:", "")
        and handler.get("offset") == "0"
        and len(magic) > _MACHINE_AT + 1
        and magic[4] == 2
        and magic[_MACHINE_AT] == _MACHINE[emulated]
        and magic[_MACHINE_AT + 1] == 0
    )


def platforms() -> frozenset[Platform]:
    """The platforms that machines can be started for: the host's own, and the other one when it is emulated."""
    return emulated_platforms() | {native_platform()}
