from __future__ import annotations

import json
from pathlib import Path

import pytest

from stoker.settings.addresses import HostPort, parse_host_port
from stoker.settings.effective import SETTINGS, Settings
from stoker.settings.loading import SettingsError, load_settings


def test_a_flag_counts_before_the_environment_before_the_file_before_the_default(tmp_path: Path) -> None:
    file = tmp_path / "stoker.toml"
    file.write_text('listen = "127.0.0.1:1"\ngateway = "127.0.0.1:2"\nidle_seconds = 3\n')
    environ = {"STOKER_GATEWAY": "127.0.0.1:4", "STOKER_LISTEN": "127.0.0.1:5", "HOME": str(tmp_path)}

    loaded = load_settings({"listen": "127.0.0.1:6", "gateway": None}, environ, file)

    assert (loaded.values.server.listen, loaded.sources["listen"]) == ("127.0.0.1:6", "--listen")
    assert (loaded.values.server.gateway, loaded.sources["gateway"]) == ("127.0.0.1:4", "STOKER_GATEWAY")
    assert (loaded.values.fleet.idle_seconds, loaded.sources["idle_seconds"]) == (3, str(file))
    assert loaded.sources["lease_seconds"] == "default"


def test_the_file_can_be_named_by_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "other.toml"
    file.write_text('regions = ["here", "there"]\n')
    assert load_settings({}, {"STOKER_CONFIG": str(file)}).values.regions.regions == ("here", "there")


def test_regions_in_the_environment_are_separated_by_commas() -> None:
    assert load_settings({}, {"STOKER_REGIONS": "here, there"}).values.regions.regions == ("here", "there")


def test_tables_of_regions_name_them_and_count_before_the_general_settings(tmp_path: Path) -> None:
    file = tmp_path / "stoker.toml"
    file.write_text("max_processes = 500\n[regions.here]\n[regions.there]\nmax_machine_cpus = 2\n")
    values = load_settings({}, {}, file).values
    values = Settings.of(json.loads(json.dumps(values.by_name())))
    assert values.regions.regions == ("here", "there")
    assert [values.regions.has_site(name) for name in ("here", "there")] == [False, True]
    there = values.regions.process_runtime_of("there", values.process_runtime)
    assert (there.max_machine_cpus, there.max_processes) == (2, 500)
    assert values.regions.process_runtime_of("here", values.process_runtime) == values.process_runtime


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ("[regions.there]\nmax_cpus = 1", "there: max_cpus is not a setting of the process runtime"),
        ("[regions.there]\nmax_processes = 1", "there: max_processes: it must be at least 200"),
        ("[regions.there]\nmax_machine_memory_bytes = 1", "at least"),
        ('[regions.there]\nruntime = "cloud"', 'there is no runtime "cloud"; use one of: process'),
        ("[regions.there]\nallow_unisolated = true", "allow_unisolated holds for the whole server"),
        ("[regions]\nthere = 1", "there"),
        ("[regions.There]", "digits, lower-case letters and dashes"),
        ("[regions]", "at least 1 item"),
    ],
)
def test_a_table_of_a_region_that_is_wrong_is_refused(tmp_path: Path, table: str, says: str) -> None:
    file = tmp_path / "stoker.toml"
    file.write_text(f"{table}\n")
    with pytest.raises(SettingsError) as caught:
        load_settings({}, {}, file)
    assert says in str(caught.value)


def test_a_runtime_of_a_region_without_a_name_is_refused() -> None:
    with pytest.raises(SettingsError, match="elsewhere: not among regions"):
        load_settings({}, {"STOKER_REGION_RUNTIMES": '{"elsewhere": {}}'})


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({"STOKER_LISTEN": "nonsense"}, 'listen (from STOKER_LISTEN): "nonsense" is not HOST:PORT'),
        ({"STOKER_LISTEN": "127.0.0.1:70000"}, "is not HOST:PORT"),
        ({"STOKER_IDLE_SECONDS": "soon"}, "idle_seconds (from STOKER_IDLE_SECONDS)"),
        ({"STOKER_IDLE_SECONDS": "-1"}, "idle_seconds"),
        ({"STOKER_CONFIG": "/nonexistent.toml"}, "/nonexistent.toml can't be read"),
    ],
)
def test_a_wrong_setting_is_named_with_where_it_comes_from(environ: dict[str, str], says: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({}, environ)
    assert says in str(caught.value)


@pytest.mark.parametrize(("text", "says"), [("lisen = 1\n", 'no setting "lisen"'), ("not toml", "is not TOML")])
def test_a_wrong_file_is_refused(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "stoker.toml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=says):
        load_settings({}, {}, file)


@pytest.mark.parametrize("given", ["https://build.example.com", "https://build.example.com/"])
def test_the_public_url_has_no_slash_at_its_end(given: str) -> None:
    assert load_settings({}, {"STOKER_PUBLIC_URL": given}).values.server.public_url == "https://build.example.com"


@pytest.mark.parametrize("given", ["build.example.com", "ftp://build.example.com", "https://", "https://a@b"])
def test_a_public_url_that_is_none_is_refused(given: str) -> None:
    with pytest.raises(SettingsError, match=r"public_url .from STOKER_PUBLIC_URL.: .* is not a URL"):
        load_settings({}, {"STOKER_PUBLIC_URL": given})


def test_an_old_name_is_read_with_a_warning(tmp_path: Path) -> None:
    file = tmp_path / "stoker.toml"
    file.write_text("forget_seconds = 7\n")

    from_file = load_settings({}, {}, file)
    from_environment = load_settings({}, {"STOKER_FORGET_SECONDS": "8"}, file)
    new_name_too = load_settings({}, {"STOKER_FORGET_SECONDS": "8", "STOKER_CLEANUP_SECONDS": "9"})

    assert from_file.values.retention.cleanup_seconds == 7
    assert from_file.warnings == (
        f"forget_seconds in {file} is called cleanup_seconds now; the next release no longer reads the old name",
    )
    assert from_environment.values.retention.cleanup_seconds == 8
    assert from_environment.sources["cleanup_seconds"] == "STOKER_FORGET_SECONDS"
    assert len(from_environment.warnings) == 2
    assert new_name_too.values.retention.cleanup_seconds == 9


def test_a_variable_that_is_no_setting_is_warned_of() -> None:
    environ = {
        "STOKER_IDLE_SECOND": "1",
        "STOKER_NONSENSE": "1",
        "STOKER_CONFIG": "",
        "STOKER_PYTHON": "python3",
        "IDLE_SECONDS": "1",
    }
    assert load_settings({}, environ).warnings == (
        "STOKER_IDLE_SECOND is no setting; did you mean STOKER_IDLE_SECONDS?",
        "STOKER_NONSENSE is no setting; `stoker config` lists them all",
    )


@pytest.mark.parametrize(
    "variable",
    ["STOKER_PORT", "STOKER_PORT_8080_TCP_ADDR", "STOKER_SERVICE_HOST", "STOKER_SERVICE_PORT_API", "STOKER_API_PORT"],
)
def test_what_kubernetes_sets_for_a_service_is_not_warned_of(variable: str) -> None:
    assert load_settings({}, {variable: "10.0.0.1"}).warnings == ()


def test_all_that_is_wrong_is_told_at_once_in_plain_words(tmp_path: Path) -> None:
    file = tmp_path / "stoker.toml"
    file.write_text('lisen = "127.0.0.1:1"\nidle_seconds = -5\npublic_url = "build.example.com"\nregions = []\n')
    environ = {"STOKER_LEASE_SECONDS": "soon", "STOKER_TLS_OWN": "perhaps", "STOKER_MAX_MESSAGE_BYTES": "1"}
    with pytest.raises(SettingsError) as caught:
        load_settings({}, environ, file)
    assert set(str(caught.value).splitlines()) == {
        f'{file}: there is no setting "lisen", but there is "listen"; `stoker config` lists them all',
        f"idle_seconds (from {file}): it must be at least 0",
        f'public_url (from {file}): "build.example.com" is not a URL such as https://builds.example.com',
        f"regions (from {file}): it must have at least 1 item",
        'lease_seconds (from STOKER_LEASE_SECONDS): "soon" is not a number',
        'tls_own (from STOKER_TLS_OWN): "perhaps" is not true or false',
        "max_message_bytes (from STOKER_MAX_MESSAGE_BYTES): it must be at least 1024",
    }


def test_a_name_in_the_file_that_is_nearly_a_setting_is_answered_with_it(tmp_path: Path) -> None:
    file = tmp_path / "stoker.toml"
    file.write_text("idle_second = 1\n")
    with pytest.raises(SettingsError, match='no setting "idle_second", but there is "idle_seconds"'):
        load_settings({}, {}, file)


def test_addresses() -> None:
    assert parse_host_port("[::1]:8080") == HostPort("::1", 8080)
    assert str(HostPort("::1", 8080)) == "[::1]:8080"


def test_every_setting_says_what_it_is() -> None:
    assert all(setting.description for setting in SETTINGS.values())


def test_every_setting_has_its_line_in_the_docs() -> None:
    lines = (Path(__file__).parents[2] / "docs" / "settings.md").read_text(encoding="utf-8").splitlines()
    rows = [line for line in lines if line.startswith("| `")]
    assert [row.split("`")[1] for row in rows] == list(SETTINGS)
    assert [row for row, setting in zip(rows, SETTINGS.values(), strict=True) if setting.description not in row] == []
