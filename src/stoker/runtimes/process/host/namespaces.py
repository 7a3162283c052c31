"""The outermost process of a machine that runs in a user namespace of its own. Run as a program; standard library only.

It makes the namespaces (user_namespaces(7)), maps a range of the host's ids onto ids 0 to 65,535 of the machine, gives
the machine its folders through idmapped mounts (mount_setattr(2)), and then only waits: its end is the machine's end.

On its standard input, a stream socket, come lines of JSON, answered with one line each:

1. ``{"first_id": N, "score": N}``: raise its oom_score_adj (proc(5)) to the score, and make the namespaces. The answer
   is ``{"process_id": N}``, the machine's first process.
2. ``{"covered": [FOLDER, …], "folders": [[FROM, TO, "rw" | "ro"], …], "resolvers": TEXT, "command": [WORD, …]}``: hide
   what is in the first ones, show the machine the others, and run the command in it. The answer is ``{}``.

The machine's first process keeps the socket as its standard input. A failure is answered with ``{"error": TEXT}``.
"""

from __future__ import annotations

import ctypes
import json
import os
import platform
import signal
import socket
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

IDS = 65_536
"""How many ids a machine has."""

_CLONE_NEWNS, _CLONE_NEWUTS, _CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
_CLONE_NEWUSER, _CLONE_NEWPID, _CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
_NAMESPACES = _CLONE_NEWNS | _CLONE_NEWUTS | _CLONE_NEWIPC | _CLONE_NEWUSER | _CLONE_NEWPID | _CLONE_NEWNET

_MS_NOSUID, _MS_NODEV, _MS_NOEXEC = 2, 4, 8
_MS_BIND, _MS_REC, _MS_PRIVATE, _MS_SLAVE = 4096, 16384, 1 << 18, 1 << 19
_MOUNT_ATTR_RDONLY, _MOUNT_ATTR_IDMAP = 0x1, 0x00100000
_OPEN_TREE_CLONE, _MOVE_MOUNT_F_EMPTY_PATH, _AT_EMPTY_PATH, _AT_FDCWD = 1, 4, 0x1000, -100
_PR_SET_PDEATHSIG, _PR_GET_SECUREBITS, _PR_SET_SECUREBITS, _SECBIT_NO_SETUID_FIXUP = 1, 27, 28, 4

_CLONE = {"x86_64": 56, "aarch64": 220}
_OPEN_TREE, _MOVE_MOUNT, _MOUNT_SETATTR = 428, 429, 442  # the same on all architectures

# Folders of the host in which other processes leave things; the machine has its own, empty.
EMPTIED = {"/run": "755", "/tmp": "1777", "/dev/shm": "1777"}  # noqa: S108
_EMPTY_BYTES = 64 * 1024**2

_MOST_FOLDERS = 16
_LARGEST_ANSWER = 4096

_libc = ctypes.CDLL(None, use_errno=True)


class _MountAttributes(ctypes.Structure):
    """``struct mount_attr`` of mount_setattr(2)."""

    _fields_ = [("attr_set", ctypes.c_uint64), ("attr_clr", ctypes.c_uint64), ("propagation", ctypes.c_uint64),
                ("userns_fd", ctypes.c_uint64)]  # fmt: skip


def main() -> int:
    """Make the machine's namespaces and wait for its end; the exit code is that of its first process."""
    server = socket.socket(fileno=os.dup(0))
    ours, inner = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        order = _line(server)
        if order is None:
            return 70
        _raise_score(int(order["score"]))
        first_id = int(order["first_id"])
        with _acting_as(first_id):
            child = _clone()
            if child == 0:
                ours.close()
                _first_process(inner)
        inner.close()
        _map_ids(child, first_id)
        _answer(server, {"process_id": child})
        order = _line(server)
        if order is None:
            return 71
        folders = order["folders"]
        trees = [_idmapped(Path(source), child, read_only=access == "ro") for source, _, access in folders]
        rest = {**order, "folders": [target for _, target, _ in folders]}
        socket.send_fds(ours, [json.dumps(rest).encode()], trees)
        for tree in trees:
            os.close(tree)
        # Closed by the first process when it becomes the command; what it says before is why it could not.
        failure = ours.recv(_LARGEST_ANSWER)
        _answer(server, {"error": failure.decode(errors="replace")} if failure else {})
    except OSError as error:
        with suppress(OSError):
            _answer(server, {"error": str(error)})
        return 72
    ours.close()
    server.close()
    os.close(0)
    # What only waits needs no more rights than what it waits for.
    _become(first_id)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) & 0xFF


def _raise_score(score: int) -> None:
    """Let the kernel end this and its children before what has a lower score."""
    file = Path("/proc/self/oom_score_adj")
    if int(file.read_text()) < score:
        file.write_text(str(score))


@contextmanager
def _acting_as(owner: int) -> Generator[None]:
    """Have another effective id, with all capabilities.

    What is counted for a user in the new namespace, such as inotify instances, is counted for its creator too, and
    bound by the creator's limit (the kernel's inc_ucount). So that is to be nobody else.
    """
    bits = _checked(_libc.prctl(_PR_GET_SECUREBITS), "prctl")
    _checked(_libc.prctl(_PR_SET_SECUREBITS, bits | _SECBIT_NO_SETUID_FIXUP), "prctl")
    os.setegid(owner)
    os.seteuid(owner)
    yield
    os.seteuid(0)
    os.setegid(0)
    _checked(_libc.prctl(_PR_SET_SECUREBITS, bits), "prctl")


def _clone() -> int:
    """fork(2) into new namespaces, the user namespace first, which then owns the others (clone(2))."""
    child = _libc.syscall(_CLONE[platform.machine()], ctypes.c_ulong(_NAMESPACES | signal.SIGCHLD), 0, 0, 0, 0)
    return _checked(child, "clone")


def _become(owner: int) -> None:
    os.setgroups([])
    os.setresgid(owner, owner, owner)
    os.setresuid(owner, owner, owner)


def _map_ids(process_id: int, first_id: int) -> None:
    for name in ("uid_map", "gid_map"):
        Path("/proc", str(process_id), name).write_text(f"0 {first_id} {IDS}\n")


def _idmapped(folder: Path, process_id: int, *, read_only: bool) -> int:
    """A mount of a folder, attached nowhere yet, in which the host's ids 0 to 65,535 are those of the process."""
    tree = _checked(_libc.syscall(_OPEN_TREE, _AT_FDCWD, os.fsencode(folder), _OPEN_TREE_CLONE), f"open_tree {folder}")
    user = os.open(f"/proc/{process_id}/ns/user", os.O_RDONLY)
    try:
        attributes = _MOUNT_ATTR_IDMAP | (_MOUNT_ATTR_RDONLY if read_only else 0)
        # Private, or what the machine mounts in it would be mounted on the host too.
        wanted = _MountAttributes(attributes, 0, _MS_PRIVATE, user)
        size = ctypes.sizeof(wanted)
        done = _libc.syscall(_MOUNT_SETATTR, tree, b"", _AT_EMPTY_PATH, ctypes.byref(wanted), size)
        _checked(done, f"mount_setattr {folder}")
    finally:
        os.close(user)
    return tree


def _first_process(outer: socket.socket) -> None:
    """Become the machine's command. Never returns."""
    try:
        message, trees, _, _ = socket.recv_fds(outer, 1 << 20, _MOST_FOLDERS)
        if not message:
            os._exit(73)
        order = json.loads(message)
        _become(0)
        # Now, as changes of ids end it: when the outermost process dies, so does everything here.
        _checked(_libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL), "prctl")
        _arrange(order["covered"], list(zip(trees, order["folders"], strict=True)), order["resolvers"])
        os.chdir("/")
        command = order["command"]
        outer.set_inheritable(False)
        os.execvp(command[0], command)  # noqa: S606
    except BaseException as error:
        with suppress(OSError):
            outer.send(str(error).encode()[:_LARGEST_ANSWER])
        os._exit(74)


def _arrange(covered: list[str], trees: list[tuple[int, str]], resolvers: str) -> None:
    """What the machine sees of the host: everything that others may read, but for what is replaced here."""
    _mount(None, "/", None, _MS_REC | _MS_SLAVE)
    resolv_conf = os.path.realpath("/etc/resolv.conf")
    for folder, mode in {**EMPTIED, **dict.fromkeys(covered, "755")}.items():
        _mount("tmpfs", folder, "tmpfs", _MS_NOSUID | _MS_NODEV, f"mode={mode},size={_EMPTY_BYTES}")
    _mount("proc", "/proc", "proc", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC)
    for tree, target in trees:
        Path(target).mkdir(parents=True, exist_ok=True)
        moved = _libc.syscall(_MOVE_MOUNT, tree, b"", _AT_FDCWD, os.fsencode(target), _MOVE_MOUNT_F_EMPTY_PATH)
        _checked(moved, f"move_mount {target}")
        os.close(tree)
    written = Path("/run/resolv.conf")
    written.write_text(resolvers)
    if resolv_conf.startswith("/run/"):
        Path(resolv_conf).parent.mkdir(parents=True, exist_ok=True)
        Path(resolv_conf).write_text(resolvers)
    else:
        _mount(str(written), resolv_conf, None, _MS_BIND)


def _mount(source: str | None, target: str, kind: str | None, flags: int, options: str | None = None) -> None:
    words = [None if word is None else os.fsencode(word) for word in (source, target, kind)]
    data = None if options is None else options.encode()
    _checked(_libc.mount(words[0], words[1], words[2], ctypes.c_ulong(flags), data), f"mount {target}")


def _checked(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def _line(stream: socket.socket) -> dict[str, Any] | None:
    """The next line, read byte by byte: what follows it is for somebody else."""
    line = b""
    while not line.endswith(b"\n"):
        byte = stream.recv(1)
        if not byte:
            return None
        line += byte
    return json.loads(line)


def _answer(stream: socket.socket, answer: dict[str, Any]) -> None:
    stream.sendall(json.dumps(answer).encode() + b"\n")


if __name__ == "__main__":
    sys.exit(main())
