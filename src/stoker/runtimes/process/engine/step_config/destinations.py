"""Where in a step a mount ends up: the container runtime follows symbolic links of the image, and of earlier mounts."""

from __future__ import annotations

from stoker.runtimes.process.engine.step_config.refusal import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

# As many as the kernel follows would be 40, runc follows 255.
_MOST_LINKS = 255


def resolved(destination: str, link_at: Callable[[str], str | None]) -> str:
    """The place in the step that ``destination`` leads to, as an absolute path without links.

    Args:
        destination: as the configuration has it, with ``..`` and more.
        link_at: what the symbolic link at a place holds; None where there is none.

    Raises:
        Refused: it never ends.
    """
    left = destination.split("/")[::-1]
    found: list[str] = []
    links = 0
    while left:
        part = left.pop()
        if part in ("", "."):
            continue
        if part == "..":
            del found[-1:]
            continue
        target = link_at("/" + "/".join((*found, part)))
        if target is None:
            found.append(part)
            continue
        links += 1
        if links > _MOST_LINKS:
            raise Refused(f"a step may not mount at {destination!r}, whose links never end; mount somewhere else")
        if target.startswith("/"):
            found = []
        left += target.split("/")[::-1]
    return "/" + "/".join(found)


def is_below(path: str, folder: str) -> bool:
    """Whether an absolute path without links is a folder, or in it."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def is_plain(path: str) -> bool:
    """Whether a path is absolute and has neither ``..`` nor other detours."""
    return path.startswith("/") and not any(part in ("", ".", "..") for part in path.split("/")[1:])


class MountedFiles:
    """What a step's files are once they are mounted, as far as their symbolic links go."""

    def __init__(self, root: str, readlink: Callable[[str], str]) -> None:
        """``readlink`` is that of `os`."""
        self._layers: list[tuple[str, list[str]]] = [("/", [root])]
        self._readlink = readlink

    def mount(self, place: str, layers: list[str]) -> None:
        """Remember what is at ``place`` from now on: folders, the upper ones first; none for what is empty."""
        self._layers.append((place, layers))

    def link_at(self, path: str) -> str | None:
        """What the symbolic link at ``path`` holds; None where there is none."""
        # The last one that holds the path covers all others. A link can't be where something is mounted.
        place, layers = next(found for found in reversed(self._layers) if is_below(path, found[0]))
        inside = path[len(place.rstrip("/")) :]
        if not inside:
            return None
        for layer in layers:
            try:
                return self._readlink(layer + inside)
            except FileNotFoundError:
                continue
            except NotADirectoryError:
                continue
            except OSError:
                return None
        return None
