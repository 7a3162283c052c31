"""Say whether this interpreter can run stoker.

The API's server embeds Python in Envoy by preloading libpython, so besides a supported version it takes `venv`, pip and
a shared library of the very same version. Prints one line, `ok VERSION EXECUTABLE` or `no VERSION EXECUTABLE NEED…`;
the needs are version, venv and libpython.

It runs before anything is installed, and under interpreters that are too old: standard library and old syntax only.
"""

import ctypes
import importlib.util
import struct
import sys
import sysconfig
from pathlib import Path

OLDEST, NEWEST = (3, 11), (3, 14)


def library_version(path: str) -> "str | None":
    """The version that the shared library says it has; None when it can't be loaded."""
    try:
        get_version = ctypes.CDLL(path).Py_GetVersion
    except (OSError, AttributeError):
        return None
    get_version.restype = ctypes.c_char_p
    return get_version().decode().split()[0]


def has_shared_library(version: str) -> bool:
    """Whether a libpython of exactly this version can be loaded, looked for where `find_libpython` looks."""
    stem = f"libpython{sys.version_info[0]}.{sys.version_info[1]}.so"
    configured = [sysconfig.get_config_var(name) for name in ("INSTSONAME", "LDLIBRARY")]
    names = [name for name in [*configured, stem + ".1.0", stem] if name and ".so" in name]
    folders = [sysconfig.get_config_var(name) for name in ("LIBPL", "LIBDIR")]
    paths = [str(Path(folder, name)) for folder in [*folders, sys.exec_prefix + "/lib"] if folder for name in names]
    return any(library_version(path) == version for path in names + paths)


def needs(version: str) -> "list[str]":
    """What this interpreter lacks."""
    free_threaded = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
    if sys.implementation.name != "cpython" or struct.calcsize("P") != 8 or free_threaded:
        return ["version"]
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        return ["version"]
    missing = []
    if any(importlib.util.find_spec(module) is None for module in ("venv", "ensurepip")):
        missing.append("venv")
    if not has_shared_library(version):
        missing.append("libpython")
    return missing


def main() -> None:
    """Print the verdict."""
    version = sys.version.split()[0]
    missing = needs(version)
    sys.stdout.write(" ".join(["no" if missing else "ok", version, sys.executable, *missing]) + "\n")


main()
