"""A machine: one buildkitd for one (project, platform), and what to do with it next."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from stoker.domain.errors import IllegalTransition

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime, timedelta

    from stoker.domain.hardware import Hardware
    from stoker.domain.platforms import Platform


CRASHES_IN_A_ROW = 3


class Desired(StrEnum):
    """What a machine should be."""

    RUNNING = "running"
    STOPPED = "stopped"


class MachineState(StrEnum):
    """What a machine is, as far as is known."""

    STOPPED = "stopped"
    STARTING = "starting"
    READY = "ready"
    STOPPING = "stopping"


TRANSITIONS: frozenset[tuple[MachineState, MachineState]] = frozenset(
    {
        (MachineState.STOPPED, MachineState.STARTING),
        (MachineState.STARTING, MachineState.READY),
        (MachineState.STARTING, MachineState.STOPPING),
        (MachineState.READY, MachineState.STOPPING),
        (MachineState.STOPPING, MachineState.STOPPED),
    }
)


class Isolation(StrEnum):
    """What holds a machine and its steps apart from the host, the strictest first (docs/isolation.md)."""

    USER_NAMESPACE = "user-namespace"
    HOST_ROOT = "host-root"
    HOST_NETWORK = "host-network"


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a machine runs.

    Attributes:
        host: the address at which we reach it.
        port: the port there; None while it isn't known.
        cpus: what it was given, which can be less than its project's hardware says.
        memory_bytes: the same of its memory.
        over_policy: whether its volume had more in it at the start than the cache policy keeps.
        isolation: an `Isolation`; None where the runtime doesn't say.
        remembered: what its runtime wants to be given again. Nobody else reads it.
    """

    host: str
    port: int | None = None
    cpus: int | None = None
    memory_bytes: int | None = None
    over_policy: bool = False
    isolation: str | None = None
    remembered: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Machine:
    """One (project, platform)'s machine, or that of one untrusted build (``build_id``), whose end is its own.

    ``run`` counts its starts: each has certificates of its own. ``volume_given_up`` says that the volume of this run
    is to be deleted, so no build may use it any more; ``outdated`` that its project's hardware or cache policy has
    changed since it was started, or its region to one at another site.

    ``prewarmed_until`` is set while it is to start, or to stay, for a build that was just created and has not asked for
    it yet.

    ``waits_for`` says why there was no room for it, while it waits, and ``waits_since`` when that was found first.
    """

    id: str
    organization_id: str
    project_id: str
    platform: Platform
    region_id: str
    desired: Desired
    state: MachineState
    run: int
    volume_id: str | None
    placement: Placement | None
    error: str | None
    failures: int
    retry_at: datetime | None
    idle_since: datetime | None
    volume_given_up: bool = False
    outdated: bool = False
    build_id: str | None = None
    crashes: int = 0
    waits_for: str | None = None
    waits_since: datetime | None = None
    prewarmed_until: datetime | None = None

    @property
    def keeps_crashing(self) -> bool:
        """Whether it crashed so often in a row that its next start is delayed."""
        return self.crashes >= CRASHES_IN_A_ROW

    @property
    def usable(self) -> bool:
        """Whether a build may be sent to this machine now."""
        return self.state is MachineState.READY and not self.volume_given_up

    @property
    def server_name(self) -> str:
        """The DNS name in the certificate of this run; never used by another machine or run."""
        return machine_server_name(self.id, self.run)


@dataclass(frozen=True, slots=True)
class MachineFacts:
    """Facts about a machine and its volume, for people. ``builds`` counts those that hold it."""

    id: str
    project_id: str
    platform: Platform
    state: MachineState
    changed_at: datetime
    builds: int
    cpus: int | None
    memory_bytes: int | None
    crashes: int
    retry_at: datetime | None
    problem: str | None
    build_id: str | None
    volume_bytes: int | None
    volume_problem: str | None
    isolation: str | None = None
    waits_for: str | None = None


@dataclass(frozen=True, slots=True)
class MachineOverview:
    """A machine with its project, its use, and its usage in a period.

    Attributes:
        facts: of the machine and its volume.
        project_name: of its project.
        hardware: what its project asks for.
        keep_bytes: how much its volume may keep by the project's cache policy.
        holders: the first few of the builds that hold it.
        last_used_at: when the last build released it; None if none has.
        machine_time: for how long builds held it in the period, each hold by itself.
        gigabyte_days: its volume's size of now, times the days of the period for which there has been such a volume.
    """

    facts: MachineFacts
    project_name: str
    hardware: Hardware
    keep_bytes: int
    holders: tuple[str, ...]
    last_used_at: datetime | None
    machine_time: timedelta
    gigabyte_days: float


def machine_server_name(machine_id: str, run: int) -> str:
    """The name that one run of a machine proves in TLS."""
    return f"r{run}.{machine_id}.machine.stoker.internal"


def checked_transition(current: MachineState, target: MachineState) -> MachineState:
    """Return ``target`` if the table allows it.

    Raises:
        IllegalTransition: otherwise.
    """
    if (current, target) not in TRANSITIONS:
        raise IllegalTransition(f"a machine can't go from {current} to {target}")
    return target


class Action(StrEnum):
    """The next thing to do for a machine."""

    START = "start"
    STOP = "stop"
    FINISH_START = "finish_start"
    FINISH_STOP = "finish_stop"


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do until that time, or until something changes (``until`` is None)."""

    until: datetime | None = None


def next_action(machine: Machine, *, live_leases: int, now: datetime, idle_timeout: timedelta) -> Action | Wait:
    """Decide what to do for a machine that nobody else works on.

    A machine in STARTING or STOPPING that nobody works on was left by a controller that died: `FINISH_START` and
    `FINISH_STOP` resume its work.
    """
    match machine.state:
        case MachineState.STARTING:
            return Action.FINISH_START
        case MachineState.STOPPING:
            if machine.retry_at is not None and machine.retry_at > now:
                return Wait(machine.retry_at)
            return Action.FINISH_STOP
        case MachineState.STOPPED:
            # For a build that doesn't wait, one failure is enough.
            is_prewarmed = (
                machine.prewarmed_until is not None
                and machine.prewarmed_until > now
                and not machine.failures
                and machine.waits_for is None
            )
            if machine.desired is Desired.STOPPED or not (live_leases or is_prewarmed):
                return Wait()
            if machine.retry_at is not None and machine.retry_at > now:
                return Wait(machine.retry_at)
            return Action.START
        case MachineState.READY:
            if machine.desired is Desired.STOPPED or machine.volume_given_up:
                return Action.STOP
            if live_leases > 0:
                return Wait()
            if machine.outdated:
                return Action.STOP
            if machine.idle_since is None:
                return Wait(now + idle_timeout)
            stop_at = max(machine.idle_since + idle_timeout, machine.prewarmed_until or machine.idle_since)
            return Action.STOP if stop_at <= now else Wait(stop_at)


def first_in_line(machine: Machine, machines: Iterable[Machine]) -> Machine:
    """The machine that gets the next room of the kind that ``machine`` needs: the one that waits longest.

    Args:
        machine: one that is to start.
        machines: all that builds hold.
    """
    waiting = [
        one
        for one in machines
        if one.waits_since is not None
        and one.state is MachineState.STOPPED
        and (one.region_id, one.platform) == (machine.region_id, machine.platform)
    ]
    return min(waiting, key=lambda one: (one.waits_since, one.id), default=machine)


def crash_delay_seconds(crashes: int) -> float:
    """How long to wait before the next start after ``crashes`` in a row: from the third on 5 s, doubling to 300 s."""
    return 0.0 if crashes < CRASHES_IN_A_ROW else min(300.0, 5.0 * 2 ** (crashes - CRASHES_IN_A_ROW))


def retry_delay_seconds(failures: int) -> float:
    """How long to wait before the next start after ``failures`` in a row: 0.5 s, doubling, at most 60 s."""
    return min(60.0, 0.5 * 2 ** max(0, failures - 1))
