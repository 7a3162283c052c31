"""The keys of the work of a machine's steps, while its steps still change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stoker.domain.steps import CLIENT_REF, work_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from stoker.domain.kept_steps import Entry
    from stoker.domain.steps import Step

_KEYS_AT_ONCE = 500


class WorkKeys:
    """Keys by the digests of steps. A key depends on those of all inputs, so it is dropped when one of them changes."""

    def __init__(self, entries: Mapping[str, Entry]) -> None:
        """Begin without keys.

        Args:
            entries: the steps by their digests, which grow and change.
        """
        self._entries = entries
        self._keys: dict[str, str] = {}
        self._needed_by: dict[str, set[str]] = {}
        self._version = 0

    def known(self, digest: str) -> str:
        """The key of a step's work; empty while it isn't known."""
        return self._keys.get(digest, "")

    def link(self, step: Step, before: tuple[str, ...]) -> None:
        """Note which steps a step builds on. ``before`` is what was noted of it."""
        if step.inputs != before and step.solve_ref != CLIENT_REF:
            for needed in step.inputs:
                self._needed_by.setdefault(needed, set()).add(step.digest)

    def drop(self, digest: str) -> None:
        """Drop the keys of a step's work and of all work that builds on it, because the step changed."""
        self._version += 1
        ahead = [digest]
        while ahead:
            one = ahead.pop()
            if self._keys.pop(one, None) is not None or one == digest:
                ahead.extend(found for found in self._needed_by.get(one, ()) if found in self._keys)

    def find(self, digest: str) -> Iterator[None]:
        """Compute the key of a step's work from the keys of its inputs, as far as these are known; in parts."""
        if digest in self._keys or self._entries[digest].step.solve_ref == CLIENT_REF:
            return
        # Steps that came from the cache begin before their inputs do, so the order of steps says nothing here. Not
        # `inputs_first`, as the way to the first step of a long chain is already more than is done at once.
        ahead, work = [digest], 0
        entered: set[str] = set()
        while ahead:
            one = ahead[-1]
            missing = [] if one in entered else self._known_inputs(one)
            entered.add(one)
            ahead.extend(found for found in missing if found not in entered)
            if ahead[-1] == one:
                ahead.pop()
                if one not in self._keys:
                    step = self._entries[one].step
                    inputs = [self._keys[needed] for needed in step.inputs if needed in self._keys]
                    self._keys[one] = work_key(step.name, step.platform, inputs)
            work += 1 + len(missing)
            if work >= _KEYS_AT_ONCE:
                work, version = 0, self._version
                yield
                if version != self._version:
                    # A step on the way changed meanwhile.
                    ahead = [digest]
                    entered.clear()

    def _known_inputs(self, digest: str) -> list[str]:
        inputs = () if digest in self._keys else self._entries[digest].step.inputs
        return [one for one in inputs if one in self._entries and one not in self._keys]
