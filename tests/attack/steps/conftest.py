"""Fixtures of attacks by steps: machines of the process runtime, without a server around them."""

from tests.contract.conftest import certificates, host, new_host

__all__ = ["certificates", "host", "new_host"]
