"""Refuses what needs an image registry, which this server doesn't have, and says what to do instead."""

from __future__ import annotations

from inspect import iscoroutinefunction
from typing import TYPE_CHECKING

from stoker._gen.depot.build.v1.registry_connect import RegistryService as ProjectImages
from stoker._gen.depot.cli.v1.push_connect import PushService
from stoker._gen.depot.registry.v1beta1.registry_connect import RegistryService
from stoker.domain.errors import Unimplemented

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from connectrpc.request import RequestContext

    from stoker._gen.depot.cli.v1.build_pb import BuildOptions

_INSTEAD = "push to a registry of your own instead, with --push -t REGISTRY/NAME:TAG"


def no_registry() -> Unimplemented:
    """The refusal of what needs a registry."""
    return Unimplemented(f"this server has no image registry yet; {_INSTEAD}")


def require_nothing_saved(options: Iterable[BuildOptions]) -> None:
    """Pass when no target of a build is to be saved in the server's registry.

    Without a refusal the depot CLI says that it saved an image, and there is none.

    Raises:
        Unimplemented: one is.
    """
    for one in options:
        if one.save or one.save_tags:
            raise no_save(one.target_name)


def no_save(target: str = "") -> Unimplemented:
    """The refusal of a build whose image is to be saved."""
    which = f' of target "{target[:100]}"' if target else ""
    return Unimplemented(
        f"the image{which} can't be saved: this server has no image registry yet; leave --save and --save-tag out and "
        f"{_INSTEAD}"
    )


async def _refuse(self: object, request: object, ctx: RequestContext[Any, Any], /) -> Any:  # noqa: ANN401
    raise no_registry()


def _without_registry(service: type[Any]) -> Any:  # noqa: ANN401
    """A service whose every method is refused."""
    methods = (name for name, value in vars(service).items() if iscoroutinefunction(value))
    return type(f"No{service.__name__}", (service,), dict.fromkeys(methods, _refuse))()


def refused_services() -> tuple[ProjectImages, PushService, RegistryService]:
    """Services that need a registry."""
    return _without_registry(ProjectImages), _without_registry(PushService), _without_registry(RegistryService)
