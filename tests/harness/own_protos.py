"""The files of our own packages, however many there are."""

from __future__ import annotations

import importlib
import pkgutil

from protobuf import DescFile

import stoker._gen.stoker.v1 as own
from stoker._gen.grpc.health.v1 import health_pb

OWN_FILES: list[DescFile] = [
    *(
        importlib.import_module(f"{own.__name__}.{module.name}").desc()
        for module in pkgutil.iter_modules(own.__path__)
        if module.name.endswith("_pb")
    ),
    health_pb.desc(),
]
