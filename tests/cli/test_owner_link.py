"""`stoker owner-link`: the address of the server that runs."""

from __future__ import annotations

from pathlib import Path

from tests.harness.command import Command
from tests.harness.server import Server


def test_the_link_has_the_address_of_the_running_server(operated: Server, tmp_path: Path) -> None:
    stoker = Command(tmp_path)
    link = stoker.apart("owner-link", "--data", str(operated.data))
    assert (link.code, link.stderr) == (0, "")
    assert link.stdout.startswith(f"{operated.url}/join#")
    named = stoker.apart("owner-link", "--data", str(operated.data), "--public-url", "https://build.example.com")
    assert named.stdout.startswith("https://build.example.com/join#")


def test_a_folder_without_a_server_is_told(tmp_path: Path) -> None:
    refused = Command(tmp_path).apart("owner-link", "--data", str(tmp_path / "nothing"))
    assert (refused.code, refused.stdout) == (1, "")
    assert refused.stderr.splitlines()[0] == f"stoker: {tmp_path / 'nothing'} is not the data folder of a server"
    assert not (tmp_path / "nothing").exists()
