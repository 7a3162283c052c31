"""Decides whether a step may run as BuildKit configured it. The machine's container runtime calls this for each step.

It accepts only what is on its lists: what BuildKit writes by itself, and what a build may choose. Unknown fields are
refused.

Every step waits for it. So it imports nothing that takes long: no `json` (which brings `re`), `typing`, `dataclasses`.
"""
