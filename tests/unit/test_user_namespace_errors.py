"""Errors that a user namespace causes, word for word as BuildKit 0.34 says them, are explained."""

import pytest

from stoker.domain.user_namespace_errors import user_namespace_hint

OWNERS = (
    'failed to solve: failed to Lchown "/big" for UID 70000, GID 70000: lchown /big: invalid argument',
    "failed to copy file info: failed to chown /run/stoker/volume/runc-overlayfs/x: lchown /x: invalid argument",
    "rpc error: code = Unknown desc = lchown /cache: invalid argument",
    'process "/bin/sh -c adduser -D -u 70000 me && make" did not complete successfully: exit code: 1',
    'process "/bin/sh -c chown -R 0:65536 /srv" did not complete successfully: exit code: 1',
    "failed to extract layer sha256:1234: mount callback failed: lchown /x: invalid argument: unknown",
)
DEVICES = (
    "operation not permitted",
    "failed to solve: operation not permitted",
    "rpc error: code = Unknown desc = operation not permitted",
    'process "/bin/sh -c mknod /x c 1 3" did not complete successfully: exit code: 1',
)
OTHERS = (
    None,
    "",
    "failed to read dockerfile: open Dockerfile: no such file or directory",
    'process "/bin/sh -c make" did not complete successfully: exit code: 2',
    'process "/bin/sh -c chown 65535:33 /srv; echo 70000" did not complete successfully: exit code: 2',
    "invalid argument",
    "mount /x: operation not permitted, says nobody",
)


@pytest.mark.parametrize("error", OWNERS)
def test_an_owner_beyond_the_range_is_explained(error: str) -> None:
    hint = user_namespace_hint(error) or ""
    assert "ids 0 to 65535" in hint
    assert "user_namespaces" in hint


@pytest.mark.parametrize("error", DEVICES)
def test_a_device_node_is_explained(error: str) -> None:
    hint = user_namespace_hint(error) or ""
    assert "device nodes" in hint
    assert "user_namespaces" in hint


@pytest.mark.parametrize("error", OTHERS)
def test_other_errors_are_not(error: str | None) -> None:
    assert user_namespace_hint(error) is None
