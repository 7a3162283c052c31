"""A host with many tables of nftables, of other servers and other programs."""

from __future__ import annotations

import subprocess
import sys

MAKE_MANY_AND_LEAVE = """
import subprocess
from stoker.domain.privileges import NO_PRIVILEGES
from stoker.runtimes.process.network.firewall import Firewall
from stoker.runtimes.process.network.firewall_rules import Services
tables = "".join(f"add table inet somebody_elses_{number}\\n" for number in range(80))
subprocess.run(["nft", "-f", "-"], input=tables, text=True, check=True)
firewall = Firewall("server", (), (), 1000)
firewall.forget("stk0", None, NO_PRIVILEGES)
firewall.prepare((), Services())
firewall.forget("stk0", None, NO_PRIVILEGES)
"""


def test_a_machine_is_forgotten_where_others_have_many_tables() -> None:
    """With some sets of tables nft 1.0.6 is aborted when it lists them as JSON, so they are listed as text."""
    command = ["unshare", "--net", "--mount", sys.executable, "-c", MAKE_MANY_AND_LEAVE]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
