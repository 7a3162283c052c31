"""`stoker` for operators: each noun, as tables and as JSON."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from stoker.cli.output import printable
from stoker.domain.people import Role
from tests.cli.conftest import Company
from tests.harness.command import Command
from tests.harness.contexts import HEADER, make_context
from tests.harness.people import Registry
from tests.harness.terminal import ENTER
from tests.harness.waiting import eventually

PROJECTS = "depot.core.v1.ProjectService"
OWN = "stoker.v1.OrganizationService"


def column(lines: list[str], title: str) -> list[str]:
    """A column of a printed table."""
    begin = lines[0].index(title)
    return [line[begin:].split("  ")[0] for line in lines[1:]]


def test_a_project_from_its_creation_to_its_end(company: Company, stoker: Command) -> None:
    shape = ("--region", "eu-central-1", "--hardware", "8x16", "--keep-gb", "7", "--keep-days", "3")
    created = stoker.apart("projects", "create", "blue bakery", *shape)
    (project,) = created.lines
    assert "blue bakery" in created.stderr
    stored = company.call(f"{PROJECTS}/GetProject", {"projectId": project}).body["project"]
    assert (stored["regionId"], stored["hardware"]) == ("eu-central-1", "HARDWARE_8X16")
    assert (stored["cachePolicy"]["keepBytes"], stored["cachePolicy"]["keepDays"]) == (str(7 * 2**30), 3)

    listed = stoker.apart("projects", "list")
    assert project in column(listed.lines, "ID")
    assert "blue bakery" in column(listed.lines, "NAME")
    assert stoker.apart("projects", "update", project, "--name", "red bakery", "--hardware", "4x8").code == 0
    shown = stoker.apart("projects", "show", project).stdout
    assert all(word in shown for word in ("red bakery", "eu-central-1", "4x8", "7 GB, 3 days", company.organization))
    assert stoker.apart("projects", "reset", project, "--yes").code == 0
    assert stoker.apart("projects", "delete", project, "--yes").code == 0
    assert company.call(f"{PROJECTS}/GetProject", {"projectId": project}).code == "not_found"
    assert project not in stoker.apart("projects", "list").stdout


def test_an_update_that_changes_nothing_is_a_mistake(company: Company, stoker: Command) -> None:
    refused = stoker.apart("projects", "update", company.project("still"))
    assert (refused.code, refused.stdout) == (2, "")


@pytest.mark.parametrize(
    ("arguments", "method"),
    [
        pytest.param(["projects", "list"], f"{PROJECTS}/ListProjects", id="projects"),
        pytest.param(["organizations", "list"], "depot.core.v1.OrganizationService/ListOrganizations", id="orgs"),
        pytest.param(["members", "list"], f"{OWN}/ListMembers", id="members"),
        pytest.param(["whoami"], "stoker.v1.AccountService/GetAccount", id="account"),
    ],
)
def test_json_is_the_apis_own(company: Company, stoker: Command, arguments: list[str], method: str) -> None:
    company.project("to be listed")
    printed, answered = stoker.apart(*arguments, "--json").json, company.call(method).body
    assert without_empty(printed) == answered


def without_empty(value: object) -> object:
    """JSON without the fields that the API leaves out when they are empty."""
    if isinstance(value, dict):
        kept = {name: without_empty(one) for name, one in value.items()}
        return {name: one for name, one in kept.items() if one not in ("", 0, [], None, False)}
    return [without_empty(one) for one in value] if isinstance(value, list) else value


def test_an_empty_list_is_json_with_its_field(company: Company, stoker: Command) -> None:
    assert stoker.apart("policies", "list", "--project", company.project("none"), "--json").json == {"policies": []}
    said = stoker.apart("policies", "list", "--project", company.project("none"))
    assert (said.code, said.stdout) == (0, "")
    assert "trusts no CI" in said.stderr


def test_organizations_are_created_and_renamed_by_operators_alone(company: Company, stoker: Command) -> None:
    (organization,) = stoker.apart("organizations", "create", "second").lines
    assert stoker.apart("organizations", "rename", organization, "renamed").code == 0
    listed = stoker.apart("organizations", "list").lines
    assert dict(zip(column(listed, "ID"), column(listed, "NAME"), strict=True))[organization] == "renamed"
    inside = stoker.apart("projects", "list", "--organization", organization)
    assert (inside.code, inside.stdout) == (0, ""), "another organization than the first"
    refused = stoker.apart("organizations", "create", "third", DEPOT_TOKEN=company.member.token)
    assert (refused.code, refused.stdout) == (1, "")
    assert "operator" in refused.stderr


def test_people_are_invited_and_their_invitations_revoked(company: Company, stoker: Command) -> None:
    invited = stoker.apart("members", "invite", "grace@example.com", "--role", "viewer")
    (link,) = invited.lines
    assert link.startswith(f"{company.server.url}/join#")
    assert link not in invited.stderr
    listed = stoker.apart("invitations", "list")
    secret = link.partition("#")[2]
    assert secret not in listed.stdout
    (identity,) = [line.split()[0] for line in listed.lines if "grace@example.com" in line]
    assert stoker.apart("invitations", "revoke", identity).code == 1, "nobody can be asked"
    assert stoker.apart("invitations", "revoke", identity, "--yes").code == 0
    assert "grace@example.com" not in stoker.apart("invitations", "list").stdout


def test_members_change_their_role_and_leave(company: Company, stoker: Command) -> None:
    somebody = Registry(company.server).person("somebody", **{f"o{company.organization}": Role.VIEWER})
    assert stoker.apart("members", "role", somebody.email.upper(), "member").code == 0
    row = next(line for line in stoker.apart("members", "list").lines if somebody.id in line)
    assert row.split()[1:4] == ["somebody", "somebody@example.com", "member"]
    assert stoker.apart("members", "remove", somebody.id, "--yes").code == 0
    assert somebody.id not in stoker.apart("members", "list").stdout
    last = stoker.apart("members", "role", company.owner.email, "viewer")
    assert (last.code, last.stdout) == (1, "")
    assert "owner" in last.stderr


def test_an_organizations_token_is_shown_once_and_ends(company: Company, stoker: Command) -> None:
    created = stoker.apart("tokens", "create", "CI", "--expires", "90d")
    (secret,) = created.lines
    assert company.server.call(f"{PROJECTS}/ListProjects", token=secret).status == 200
    assert secret not in created.stderr
    listed = stoker.apart("tokens", "list")
    assert secret not in listed.stdout
    (row,) = [line for line in listed.lines if "  CI  " in line]
    token = row.split()[0]
    assert "never" not in row.split("  CI  ")[1].split("  ")[1], "it has an end"
    assert stoker.apart("tokens", "revoke", token, "--yes").code == 0
    assert company.server.call(f"{PROJECTS}/ListProjects", token=secret).code == "unauthenticated"
    again = stoker.apart("tokens", "revoke", token, "--yes")
    assert (again.code, f"no token {token}" in again.stderr) == (1, True)


def test_a_projects_token_works_for_its_project(company: Company, stoker: Command) -> None:
    project = company.project("with a token")
    created = stoker.apart("tokens", "create", "deploy", "--project", project, "--json").json
    secret, token = created["secret"], created["tokenId"]
    seen = stoker.apart("projects", "list", "--json", DEPOT_TOKEN=secret).json["projects"]
    assert [one["projectId"] for one in seen] == [project]
    assert project in stoker.apart("whoami", DEPOT_TOKEN=secret).stdout
    listed = stoker.apart("tokens", "list", "--project", project)
    assert [line.split() for line in listed.lines[1:]] == [[token, "deploy", "yes"]]
    assert stoker.apart("tokens", "revoke", token, "--yes").code == 1, "it is not the organization's"
    assert stoker.apart("tokens", "revoke", token, "--project", project, "--yes").code == 0
    assert stoker.apart("projects", "list", DEPOT_TOKEN=secret).code == 1


def test_an_untrusted_token_may_not_even_look(company: Company, stoker: Command) -> None:
    project = company.project("with forks")
    secret = stoker.apart("tokens", "create", "forks", "--project", project, "--untrusted").stdout.strip()
    assert [line.split()[1:] for line in stoker.apart("tokens", "list", "--project", project).lines[1:]] == [
        ["forks", "no"]
    ]
    refused = stoker.apart("projects", "list", DEPOT_TOKEN=secret)
    assert (refused.code, "untrusted project token" in refused.stderr) == (1, True)
    refused = stoker.apart("tokens", "create", "forks", "--untrusted")
    assert (refused.code, "give --project" in refused.stderr) == (2, True)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--expires", "90d", "--project", "1m868dedr70bkxtv"],
        ["--expires", "soon"],
        ["--expires", "0d"],
        ["--expires", "9999999d"],
    ],
)
def test_a_lifetime_that_can_not_be_is_refused(stoker: Command, arguments: list[str]) -> None:
    refused = stoker.apart("tokens", "create", "CI", *arguments)
    assert (refused.code, refused.stdout) == (2, "")


CIRCLE = "11111111-2222-4333-8444-555555555555/aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"


SOURCES = [("github", "acme/app"), ("buildkite", "acme/deploy"), ("circleci", CIRCLE), ("gitlab", "group/sub/app")]


def test_trust_policies_are_added_listed_and_removed(company: Company, stoker: Command) -> None:
    project = {"DEPOT_PROJECT_ID": company.project("trusting")}
    added = [stoker.apart("policies", "add", *source, **project).stdout.strip() for source in SOURCES]
    expected = [[policy, *source, "yes"] for policy, source in zip(added, SOURCES, strict=True)]
    assert [line.split() for line in stoker.apart("policies", "list", **project).lines[1:]] == expected
    assert stoker.apart("policies", "remove", added[0], "--yes", **project).code == 0
    assert [line.split() for line in stoker.apart("policies", "list", **project).lines[1:]] == expected[1:]
    untrusted = stoker.apart("policies", "add", *SOURCES[0], "--untrusted", **project).stdout.strip()
    listed = [line.split() for line in stoker.apart("policies", "list", **project).lines[1:]]
    assert listed == [*expected[1:], [untrusted, *SOURCES[0], "no"]]
    refused = stoker.apart("policies", "add", *SOURCES[0], **project)
    assert (refused.code, f"as untrusted, by the policy {untrusted}" in refused.stderr) == (1, True)


@pytest.mark.parametrize(("provider", "source", "code"), [("github", "acme", 2), ("nowhere", "acme/app", 1)])
def test_a_policy_that_can_not_be_is_refused(
    company: Company, stoker: Command, provider: str, source: str, code: int
) -> None:
    refused = stoker.apart("policies", "add", provider, source, "--project", company.project("trusts nobody"))
    assert (refused.code, refused.stdout) == (code, "")


def test_builds_are_listed_newest_first_over_all_pages(company: Company, stoker: Command) -> None:
    project = company.project("busy")
    ids = Registry(company.server).builds(project, company.organization, 503)
    flag = ("--project", project)
    assert column(stoker.apart("builds", "list", *flag, "--limit", "1000").lines, "ID") == ids
    few = stoker.apart("builds", "list", *flag, "--limit", "2")
    assert column(few.lines, "ID") == ids[:2]
    assert "--limit" in few.stderr
    cut = stoker.apart("builds", "list", *flag, "--limit", "502", "--json").json
    assert ([one["buildId"] for one in cut["builds"]], cut["nextPageToken"]) == (ids[:502], ids[501])
    shown = stoker.apart("builds", "show", ids[0]).stdout
    assert ids[0] in shown
    assert "running" in shown


def test_a_build_is_shown_with_who_began_it_and_why_it_failed(company: Company, stoker: Command) -> None:
    project = company.project("with a failure")
    (other,) = Registry(company.server).builds(project, company.organization, 1)
    build = company.call("depot.build.v1.BuildService/CreateBuild", {"projectId": project}).body["buildId"]
    failure = {"buildId": build, "error": {"error": "the oven is cold\nlight it"}}
    assert company.call("depot.build.v1.BuildService/FinishBuild", failure).status == 200
    flag = ("--project", project)
    listed = stoker.apart("builds", "list", *flag).lines
    assert (column(listed, "ID"), column(listed, "STATUS")) == ([build, other], ["failed", "running"])
    who = column(listed, "TRIGGERED BY")[0]
    assert who == company.owner.email
    for chosen in (
        ("--status", "failed"),
        ("--triggered-by", who[:4].upper()),
        ("--status", "failed", "--begun-by", who),
    ):
        assert column(stoker.apart("builds", "list", *flag, *chosen).lines, "ID") == [build]
    assert "no such builds" in stoker.apart("builds", "list", *flag, "--status", "canceled").stderr
    shown = stoker.apart("builds", "show", build).lines
    assert [line.split()[-1] for line in shown if line.startswith("triggered by")] == [who]
    error = [line.removeprefix("error").strip() for line in shown if line.endswith(("oven is cold", "light it"))]
    assert error == ["the oven is cold", "light it"]


def test_usage_is_what_the_api_counts(company: Company, stoker: Command) -> None:
    project = company.project("counted")
    Registry(company.server).builds(project, company.organization, 3)
    whole = stoker.apart("usage").lines
    assert dict(zip(column(whole, "PROJECT"), column(whole, "BUILDS"), strict=True))["counted"] == "3"
    each = stoker.apart("usage", "--by-project", "--json").json["usage"]
    assert {one["projectId"]: one["buildCount"] for one in each}[project] == 3
    assert "3" in stoker.apart("usage", "--project", project).stdout.split()
    assert len(stoker.apart("usage", "--by-project", "--limit", "1").lines) == 2
    before = stoker.apart("usage", "--project", project, "--since", "2020-01-01", "--until", "2020-02-01")
    assert "3" not in before.stdout.split()


@pytest.mark.parametrize(
    "arguments",
    [
        ["projects", "create", "theirs"],
        ["tokens", "create", "theirs"],
        ["organizations", "create", "theirs"],
    ],
)
def test_a_viewer_who_may_not_is_told_so(company: Company, stoker: Command, arguments: list[str]) -> None:
    refused = stoker.apart(*arguments, DEPOT_TOKEN=company.viewer.token)
    line, hint = refused.stderr.splitlines()
    assert (refused.code, refused.stdout) == (1, "")
    assert "permission_denied" in line
    assert "stoker login" in hint
    assert stoker.apart("projects", "list", DEPOT_TOKEN=company.viewer.token).code == 0, "seeing is allowed"


UNKNOWN = "0000000000000000"


@pytest.mark.parametrize(
    "arguments",
    [
        ["projects", "show", UNKNOWN],
        ["projects", "show", "nonsense"],
        ["projects", "delete", UNKNOWN, "--yes"],
        ["projects", "list", "--organization", UNKNOWN],
        ["organizations", "rename", UNKNOWN, "x"],
        ["members", "remove", "nobody@example.com", "--yes"],
        ["invitations", "revoke", UNKNOWN, "--yes"],
        ["tokens", "list", "--project", UNKNOWN],
        ["tokens", "revoke", UNKNOWN, "--yes"],
        ["builds", "list", "--project", UNKNOWN],
        ["builds", "show", UNKNOWN],
    ],
)
def test_what_is_not_there_is_told_in_a_line_and_a_hint(stoker: Command, arguments: list[str]) -> None:
    refused = stoker.apart(*arguments)
    assert (refused.code, refused.stdout) == (1, "")
    assert refused.stderr.startswith("stoker: ")
    assert len(refused.stderr.splitlines()) <= 2
    assert "unexpected" not in refused.stderr


def test_a_project_is_deleted_only_when_its_name_is_typed(company: Company, stoker: Command) -> None:
    project = company.project("precious")
    piped = stoker.apart("projects", "delete", project)
    assert (piped.code, "--yes" in piped.stderr) == (1, True)
    for typed, code in (("precocious", 1), ("precious", 0)):
        assert company.call(f"{PROJECTS}/GetProject", {"projectId": project}).status == 200
        terminal = stoker.terminal("projects", "delete", project)
        terminal.shows("Type its name to go on")
        terminal.press(typed, ENTER)
        assert terminal.ends() == code, terminal.screen
    assert company.call(f"{PROJECTS}/GetProject", {"projectId": project}).code == "not_found"


def test_a_token_is_revoked_only_after_a_yes(company: Company, stoker: Command) -> None:
    created = company.call(f"{OWN}/CreateToken", {"description": "asked about"}).body
    for typed, code in (("n", 1), ("y", 0)):
        assert company.server.call(f"{PROJECTS}/ListProjects", token=created["secret"]).status == 200
        terminal = stoker.terminal("tokens", "revoke", created["tokenId"])
        terminal.shows("(asked about)? [y/N]")
        terminal.press(typed, ENTER)
        assert terminal.ends() == code, terminal.screen
    assert company.server.call(f"{PROJECTS}/ListProjects", token=created["secret"]).code == "unauthenticated"


def test_tables_fit_the_terminal_and_keep_ids_whole(company: Company, stoker: Command) -> None:
    project = company.project("a name that is much longer than there is room for it in a narrow terminal")
    narrow = stoker.terminal("projects", "list", columns=70)
    assert narrow.ends() == 0
    written = re.sub(r"\x1b\[[0-9;]*m", "", narrow.written)
    assert max(map(len, written.splitlines())) <= 70
    assert any(line.startswith(f"{project}  ") for line in narrow.screen.splitlines())
    wide = next(line for line in stoker.apart("projects", "list", COLUMNS="20").lines if project in line)
    assert "much longer than there is room for it in a narrow terminal" in wide, "nothing is folded in a pipe"


def test_what_a_terminal_would_obey_is_not_printed() -> None:
    assert printable("a\x1b[2Jb\u202ec\nd") == "a\N{REPLACEMENT CHARACTER}[2Jb\N{REPLACEMENT CHARACTER}c\nd"


@pytest.fixture
def silent_api() -> Iterator[str]:
    """The address of an API that takes calls and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize("command", [["projects", "list"], ["build", "context", "--project", "1m868dedr70bkxtv"]])
def test_a_token_is_in_no_process_list_and_ctrl_c_ends_a_call(
    company: Company, stoker: Command, silent_api: str, tmp_path: Path, command: list[str]
) -> None:
    make_context(tmp_path / "context", HEADER)
    engine = str(company.server.engine.buildctl.parent)
    calling = stoker.popen(*command, DEPOT_API_URL=silent_api, STOKER_ENGINE_FOLDER=engine)
    port = f":{int(silent_api.rpartition(':')[2]):04X} "

    def is_connected() -> bool:
        table = Path(f"/proc/{calling.pid}/net/tcp").read_text()
        return any(port in line and line.split()[3] == "01" for line in table.splitlines())

    eventually(is_connected, "the call is on its way")
    listing = subprocess.run(["ps", "-ww", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert " ".join(command) in listing
    assert company.owner.token not in listing
    os.killpg(calling.pid, signal.SIGINT)
    output, _ = calling.communicate(timeout=20)
    assert (calling.returncode, output) == (130, "canceled\n")


def test_a_server_that_is_not_there_is_told_and_debug_tells_more(company: Company, stoker: Command) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        nowhere = f"http://127.0.0.1:{listener.getsockname()[1]}"
    refused = stoker.apart("projects", "list", DEPOT_API_URL=nowhere)
    line, hint = refused.stderr.splitlines()
    assert (refused.code, refused.stdout) == (1, "")
    assert line == f"stoker: can't reach the API at {nowhere}; is the server running?"
    assert "DEPOT_API_URL" in hint
    more = stoker.apart("--debug", "projects", "list", "--api-url", nowhere)
    assert "Connection refused" in more.stderr
    assert company.owner.token not in more.stderr


def test_an_unknown_token_is_told_with_where_it_is_from(stoker: Command) -> None:
    refused = stoker.apart("projects", "list", DEPOT_TOKEN="stoker_usr_nonsense")
    assert (refused.code, refused.stdout) == (1, "")
    assert refused.stderr.splitlines()[1].strip() == "the token is from DEPOT_TOKEN"
    assert "stoker_usr_nonsense" not in refused.stderr


def test_a_shell_completes_commands_and_flags(stoker: Command) -> None:
    def completed(words: str, position: int) -> list[str]:
        asked = {"_STOKER_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(position)}
        return [line.partition(",")[2] for line in stoker.apart(**asked).lines]

    assert completed("stoker pro", 1) == ["projects"]
    assert completed("stoker projects re", 2) == ["reset"]
    assert completed("stoker members invite --role o", 4) == ["owner"]
