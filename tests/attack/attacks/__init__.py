"""All attacks: one module for each finding."""

from tests.attack.attacks import (
    audit_flood,
    cgroup_parents,
    deep_messages,
    endless_reports,
    endless_solves,
    full_disk,
    gateway_questions,
    half_messages,
    host_tables,
    many_vertexes,
    shared_pages,
    strangers,
    unfinished_solves,
    webhooks_to_nowhere,
)
from tests.attack.framework.attack import Attack

_MODULES = (
    deep_messages,
    cgroup_parents,
    many_vertexes,
    endless_reports,
    unfinished_solves,
    half_messages,
    strangers,
    audit_flood,
    webhooks_to_nowhere,
    endless_solves,
    shared_pages,
    full_disk,
    host_tables,
    gateway_questions,
)

ALL: list[Attack] = [attack for module in _MODULES for attack in module.ATTACKS]
