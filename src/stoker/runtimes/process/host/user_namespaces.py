"""Whether machines can be run in user namespaces of their own on this host."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from stoker.domain.host import Finding, Verdict
from stoker.runtimes.errors import RuntimeFailed
from stoker.runtimes.process.host.outermost import Outermost, Seen

_SUBJECT = "user namespaces"
_LIMIT = Path("/proc/sys/user/max_user_namespaces")
_WEAKER = "machines run as the host's root, held by namespaces, seccomp and cgroups alone"


def user_namespaces(folder: Path, first_id: int) -> Finding:
    """Try it: namespaces, the map of ids, and an idmapped mount of a folder that only root may enter.

    Args:
        folder: where machines' files and volumes are, or are to be; must exist.
        first_id: where the host's ids for machines begin.
    """
    try:
        with tempfile.TemporaryDirectory(dir=folder, prefix="stoker-trial-") as name, open(os.devnull, "wb") as log:  # noqa: PTH123
            trial = Outermost({}, log)
            try:
                trial.enter(first_id, 0)
                inside = Path("/run/stoker/trial")
                command = ["sh", "-c", f"touch {inside}/made && chown 65535:65535 {inside}/made && read -r go"]
                trial.run([Seen(Path(name), inside, read_only=False)], "", command)
                trial.connect()
                code = trial.process.wait()
            finally:
                if trial.process.poll() is None:
                    trial.end()
            made = Path(name, "made")
            if code != 0 or not made.exists() or made.stat().st_uid != 65_535:
                return Finding(
                    _SUBJECT, Verdict.WEAKER, "files can't be given to them", f"{_advice(folder)}; {_WEAKER}"
                )
    except (RuntimeFailed, OSError) as error:
        return Finding(_SUBJECT, Verdict.WEAKER, f"can't be used: {error}", f"{_advice(folder)}; {_WEAKER}")
    return Finding(_SUBJECT, Verdict.GOOD, "each machine has ids that nobody else on this host has")


def _advice(folder: Path) -> str:
    try:
        if int(_LIMIT.read_text()) == 0:
            return "set user.max_user_namespaces above 0 with sysctl"
    except OSError:
        return "use a kernel with user namespaces"
    return f"use Linux 5.19 or newer, run as root with all privileges, and put {folder} on ext4, xfs or btrfs"
