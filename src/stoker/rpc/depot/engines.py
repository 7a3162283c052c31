"""Which engine a client asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stoker.domain.errors import Unimplemented

if TYPE_CHECKING:
    from stoker._gen.depot.cli.v1 import build_pb as pb

    RequiredEngine = pb.CreateBuildRequest.RequiredEngine | pb.GetBuildKitConnectionRequest.RequiredEngine


def require_buildkit(wanted: RequiredEngine | None) -> None:
    """Pass when a request asks for BuildKit, or for no engine by name.

    Raises:
        Unimplemented: it asks for Dagger.
    """
    engine = wanted and wanted.engine
    if engine is not None and engine.field == "dagger":
        raise Unimplemented(
            "this server's machines run BuildKit; it has no Dagger engines, so run Dagger on an engine of your own"
        )
