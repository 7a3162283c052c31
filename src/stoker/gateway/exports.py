"""Where a solve exports its result."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stoker.domain.errors import PermissionDenied

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stoker._gen.moby.buildkit.v1.control_pb import SolveRequest

# Fixed in the depot CLI: with `DEPOT_BUILD_ID` and `--save` it pushes there, whatever its API is, and sends the build's
# token if that host asks for a credential.
_FOREIGN_REGISTRY = "registry.depot.dev"


def check_exports(solve: SolveRequest) -> None:
    """Refuse a solve that would push to a registry that the client chose and its user did not.

    Raises:
        PermissionDenied: it would push there.
    """
    for name in _exported_names(solve):
        host = name.strip().partition("/")[0].partition(":")[0].rstrip(".").lower()
        if host == _FOREIGN_REGISTRY or host.endswith(f".{_FOREIGN_REGISTRY}"):
            raise PermissionDenied(
                f"{_FOREIGN_REGISTRY} is not this server's registry, and builds here don't push to it; leave out "
                "--save, and push to a registry of your own: depot build --push -t YOUR.REGISTRY/NAME:TAG"
            )


def _exported_names(solve: SolveRequest) -> Iterator[str]:
    """The image names and cache references that a solve pushes, from the options of its exporters."""
    exporters = [one.Attrs for one in solve.Exporters]
    if solve.ExporterDeprecated:
        exporters.append(solve.ExporterAttrsDeprecated)
    for attributes in exporters:
        yield from attributes.get("name", "").split(",")
    if solve.Cache is not None:
        yield solve.Cache.ExportRefDeprecated
        for cache in solve.Cache.Exports:
            yield cache.Attrs.get("ref", "")
