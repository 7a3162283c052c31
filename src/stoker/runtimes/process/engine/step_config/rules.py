"""What the steps of one machine may have: written when it starts, read for each step."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_FIELDS = ("cgroup", "networks", "sources", "tracing_socket", "insecure", "host_network", "seccomp", "ioctls", "score")


class StepRules:
    """What the steps of one machine may have.

    Attributes:
        cgroup: the group that the groups of steps are in, from the root of every hierarchy.
        networks: the folder of the network namespaces that BuildKit makes.
        sources: the folders that BuildKit mounts files of.
        tracing_socket: BuildKit's socket for traces.
        insecure: whether the project may use `RUN --security=insecure`.
        host_network: whether steps may be on the host's network.
        seccomp: whether the kernel has filters of system calls.
        ioctls: the rules of a seccomp profile that stand in the place of "ioctl" in general.
        score: the `oom_score_adj` of steps.
    """

    __slots__ = _FIELDS

    def __init__(
        self,
        *,
        cgroup: str,
        networks: str,
        sources: list[str],
        tracing_socket: str,
        insecure: bool,
        host_network: bool,
        seccomp: bool,
        ioctls: list[object],
        score: int,
    ) -> None:
        self.cgroup = cgroup
        self.networks = networks
        self.sources = sources
        self.tracing_socket = tracing_socket
        self.insecure = insecure
        self.host_network = host_network
        self.seccomp = seccomp
        self.ioctls = ioctls
        self.score = score

    def fields(self) -> Mapping[str, object]:
        """What is to be written as JSON; it comes back by ``StepRules(**fields)``."""
        return {name: getattr(self, name) for name in _FIELDS}
