"""A record warns of emulation where it happens."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from stoker.domain.progress import Progress, VertexEvent
from tests.harness.ledgers import kept_steps, new_ledger, taken

NOW = datetime(2026, 1, 1, tzinfo=UTC)
AMD64, ARM64 = frozenset({"amd64"}), frozenset({"arm64"})


def event(name: str, *, begins: bool = True, cached: bool = False) -> VertexEvent:
    return VertexEvent(name, (), name, "", cached, NOW if begins else None, None, "")


@pytest.mark.parametrize(
    ("native", "names", "warned"),
    [
        (AMD64, ["[linux/amd64 cross 2/2] RUN go build", "[linux/arm64 stage-1 2/2] COPY --from=cross"], []),
        (AMD64, ["[linux/amd64->arm64 build 2/4] RUN GOARCH=arm64 go build"], []),
        (ARM64, ["[linux/amd64->arm64 build 2/4] RUN GOARCH=arm64 go build"], ["linux/amd64"]),
        (AMD64, ["[linux/arm64 stage-1 2/3] RUN make", "[linux/arm64 stage-1 3/3] RUN more"], ["linux/arm64"]),
        (AMD64, ["[linux/riscv64 2/2] RUN make", "[linux/s390x 2/2] RUN make"], ["linux/riscv64", "linux/s390x"]),
        (AMD64, ["[linux/arm/v7 2/2] RUN make", "[linux/386 2/2] RUN make"], ["linux/arm/v7"]),
        (ARM64, ["[linux/arm/v7 2/2] RUN make", "[linux/amd64 2/2] RUN make"], ["linux/amd64"]),
        (ARM64, ["[2/2] RUN make"], ["linux/amd64"]),
        (AMD64, ["[2/2] RUN make"], []),
        (frozenset(), ["[linux/arm64 2/2] RUN make"], []),
    ],
)
def test_it_warns_once_of_each_platform_whose_programs_are_emulated(
    native: frozenset[str], names: list[str], warned: list[str]
) -> None:
    ledger = new_ledger(kept=kept_steps(), native=native)
    ledger.apply(Progress(tuple(event(name) for name in names)))
    ledger.apply(Progress(tuple(event(name) for name in names)))
    assert [one.short.split()[0] for one in taken(ledger).warnings] == warned


def test_what_never_ran_is_not_warned_of() -> None:
    ledger = new_ledger(native=AMD64)
    ledger.apply(Progress((event("[linux/arm64 2/2] RUN a", begins=False),)))
    ledger.apply(Progress((event("[linux/arm64 2/2] RUN b", cached=True),)))
    assert taken(ledger, final=True).warnings == ()
