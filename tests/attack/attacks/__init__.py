"""All attacks: one module for each finding."""

from tests.attack.attacks import audit_flood
from tests.attack.framework.attack import Attack

ALL: list[Attack] = [*audit_flood.ATTACKS]
