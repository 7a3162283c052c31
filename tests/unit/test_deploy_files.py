"""What `deploy/` and the guides hand to operators fits the program."""

from __future__ import annotations

import configparser
import re
import tomllib
from pathlib import Path

import yaml
from click.testing import CliRunner

from stoker.cli.main import stoker
from stoker.settings.loading import load_settings

ROOT = Path(__file__).parents[2]
INSTALL = ROOT / "docs" / "install.md"
CI = ROOT / "docs" / "ci.md"


def blocks(guide: Path, language: str) -> list[str]:
    """The blocks of a guide in one language, without their indentation."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```$", guide.read_text(), re.MULTILINE | re.DOTALL)
    return [re.sub(rf"^{indent}", "", text, flags=re.MULTILINE) for indent, text in found]


def test_the_settings_of_the_guide_are_settings(tmp_path: Path) -> None:
    (text,) = blocks(INSTALL, "toml")
    (tmp_path / "stoker.toml").write_text(text)
    settings = load_settings({}, {}, tmp_path / "stoker.toml").values
    assert settings.server.gateway_name == "build.example.com"
    assert settings.server.drain_seconds == tomllib.loads(text)["drain_seconds"]


def test_the_unit_runs_a_command_that_is_there_and_waits_for_its_drain(tmp_path: Path) -> None:
    unit = configparser.ConfigParser(interpolation=None, strict=False)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read(ROOT / "deploy" / "systemd" / "stoker.service")
    service = unit["Service"]
    program, *arguments = service["ExecStart"].split()
    assert Path(program).name == "stoker"
    folder = program.removesuffix("/.venv/bin/stoker")
    assert f"cp {folder}/deploy/systemd/stoker.service /etc/systemd/system/" in INSTALL.read_text()
    shown = CliRunner().invoke(stoker, [arguments[0], "--help"])
    assert shown.exit_code == 0, shown.output
    options = [argument for argument in arguments if argument.startswith("--")]
    assert options
    assert all(option in shown.output for option in options)
    minutes = re.fullmatch(r"(\d+)min", service["TimeoutStopSec"])
    (text,) = blocks(INSTALL, "toml")
    assert minutes is not None
    assert 60 * int(minutes[1]) > tomllib.loads(text)["drain_seconds"]


def test_alerts_have_what_prometheus_asks_for_and_say_what_to_do() -> None:
    (group,) = yaml.safe_load((ROOT / "deploy" / "prometheus" / "alerts.yaml").read_text())["groups"]
    names = [rule["alert"] for rule in group["rules"]]
    assert len(names) == len(set(names)) > 5
    for rule in group["rules"]:
        assert set(rule) <= {"alert", "expr", "for", "annotations"}
        assert set(rule["annotations"]) == {"summary", "action"}
        assert rule["expr"].count("(") == rule["expr"].count(")")


def test_the_guide_to_each_ci_names_the_server_and_the_project() -> None:
    written = blocks(CI, "yaml")
    assert len(written) == 4
    for text in written:
        assert yaml.safe_load(text)
    for text in (*written, *blocks(CI, "groovy")):
        assert re.search(r"DEPOT_API_URL\W+https://build\.example\.com", text)
        assert "DEPOT_PROJECT_ID" in text
        assert "depot build" in text


def test_the_links_of_the_guides_lead_somewhere() -> None:
    for guide in (INSTALL, CI):
        for target in re.findall(r"\]\(([^)#]+)", guide.read_text()):
            if not target.startswith("https:"):
                assert (guide.parent / target).exists(), (guide.name, target)
