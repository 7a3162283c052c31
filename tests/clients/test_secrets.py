"""Secrets that are written in a Dockerfile are nowhere in what a server stores or shows."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.harness.browser import PASSWORD, Browser, join, owner_code
from tests.harness.command import Command
from tests.harness.contexts import HEADER, make_context
from tests.harness.depot import Depot
from tests.harness.endpoint import get_endpoint
from tests.harness.receiver import Receiver
from tests.harness.records import when_recorded
from tests.harness.server import Server
from tests.harness.waiting import eventually

pytestmark = pytest.mark.timeout(600)

# LEAK stands for a value of which each line has one of its own.
SECRETS = r"""
NPM_TOKEN=LEAK true
DB_PASSWORD="two words LEAK" true
DB_PASSWORD='two words LEAK' API=1 true
API_KEY=ab"LEAK cd"gh true
DB_PASSWORD='it'"'"'s LEAK' true
DB_PASSWORD='it'\''s LEAK' true
PGPASSWORD=$'a\'b LEAK' true
SECRET=two\ words\ LEAK true
SECRET="a \"quoted\" LEAK" true
SECRET="back\\slash LEAK" true
SECRET='$dollar LEAK' true
TOKEN=$(echo "a LEAK") true
TOKEN=`echo LEAK` true
TOKEN="$(printf '%s' "a LEAK")" true
export TOKEN=LEAK; true
export A=1 MY_SECRET="x LEAK" B=2
MYSQL_PWD=LEAK PWD=/ true
SSHPASS=LEAK true
GH_PAT=LEAK true
REDISCLI_AUTH='LEAK' true
npmAuthToken="LEAK" true
GITHUBTOKEN=LEAK true
API_KEY_PROD=LEAK true
sh -c 'TOKEN="a LEAK" true' || true
sh -c "TOKEN=LEAK true" || true
sh -c "sh -c 'TOKEN=\"a LEAK\" true'" || true
eval "TOKEN='a LEAK'; true"
: docker run -e "TOKEN=a LEAK" image
: app --password LEAK -v
: app --password "a LEAK" -v
: app --token=LEAK -v
: app --api-key='a LEAK' -v
: app -password LEAK
: mysql -uroot -pLEAK db
: mysqldump -p"a LEAK" db
: docker login -u me -p LEAK example.com
: sshpass -p LEAK ssh host
: curl -u me:LEAK https://example.com
echo root:LEAK | : chpasswd
echo LEAK | : docker login -u me --password-stdin
: curl -H "Authorization: Bearer LEAK" https://example.com
: curl -H 'authorization: LEAK' https://example.com
: curl -H 'PRIVATE-TOKEN: LEAK' https://example.com
: git clone https://me:LEAK@example.com/x
: git clone https://LEAK@example.com/x
: psql postgres://me:LEAK@db/x
: curl 'https://example.com/?a=b&token=LEAK&c=d'
: aws configure set aws_secret_access_key LEAK
: echo '{"auths":{"r":{"auth":"LEAK"}}}'
: echo "{\"auth\": \"LEAK\"}"
: npm config set //r.example.com/:_authToken LEAK
"""
ORDINARY = r"""
AUTHOR=me true
AUTHORS="me, you" true
KEYBOARD=de true
MONKEY=george true
TURKEY=istanbul true
HOTKEY='ctrl x' true
TOKENIZERS_PARALLELISM=false true
MAX_TOKENS=4096 true
PWD=/app true
OLDPWD=/ true
BYPASS=1 true
COMPASS=north true
PASSES=2 true
PRIMARY_KEY=id true
SSH_PUBLIC_KEY="ssh-ed25519 AAAA" true
CACHE_KEY=v1 true
AWS_ACCESS_KEY_ID=AKIAEXAMPLE true
TOKEN_FILE=/run/secrets/token true
TOKEN_TTL=5m true
AUTH_URL=https://example.com true
AUTH_METHOD=oidc true
PASSWORD_MIN_LENGTH=12 true
GOPRIVATE=example.com/us true
: apt-key adv --keyserver=hkp://keyserver.example.com:80
: openssl genrsa --key-size=4096
: go build -ldflags '-X main.author=me'
: pip install pyjwt==2.9.0 django-auth==1.2
: git clone ssh://git@example.com/me/tokens.git
TOKEN=$(cat /run/secrets/token) || true
if [ "$AUTH" = yes ]; then echo $TOKEN; fi
"""
SHELL = 'SHELL ["/bin/busybox", "sh", "-c"]\n'


def numbered(lines: str) -> list[str]:
    return [line.replace("LEAK", f"xq{place:02}leak") for place, line in enumerate(lines.strip().split("\n"))]


@pytest.fixture(scope="module")
def own(make_server: Callable[..., Server]) -> Server:
    return make_server(webhook_private_addresses="true", idle_seconds="2")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


def stored(server: Server) -> Iterator[tuple[str, bytes]]:
    """What a server has on its disk: databases, what is packed in them, and logs; nothing of running machines."""
    yield "the database", server.stored()
    files = (*(server.data / "logs").rglob("*.log*"), server.log)
    for file in files:
        yield str(file), file.read_bytes()
    for packed in (
        "select content from attestations",
        "select records from cache_contents",
        "select content from log_chunks",
    ):
        for (content,) in server.query(packed):
            try:
                yield packed, zlib.decompress(content)
            except zlib.error:
                yield packed, content


def shown(server: Server, reader: Browser, build: str) -> Iterator[tuple[str, str]]:
    """All that a server shows of a build."""
    for method, request in (
        ("stoker.v1.BuildService/GetBuild", {"buildId": build}),
        ("stoker.v1.BuildService/ListBuildWarnings", {"buildId": build}),
        ("depot.core.v1.BuildService/GetBuild", {"buildId": build}),
        ("depot.build.v1.BuildService/GetBuildSteps", {"buildId": build, "pageSize": 200}),
    ):
        answer = server.call(method, request)
        assert answer.status == 200, answer
        yield method, str(answer.body)
    yield "page", reader.get(f"/builds/{build}").text
    for (number,) in server.query("select number from steps where build_id = ? and error is not null", build):
        yield f"page of step {number}", reader.get(f"/builds/{build}/steps/{number}").text


def test_no_secret_of_fifty_lines_is_stored_or_shown(own: Server, receiver: Receiver, tmp_path: Path) -> None:
    secrets, ordinary = numbered(SECRETS), numbered(ORDINARY)
    assert (len(secrets), len(ordinary)) == (51, 30)
    reader = Browser(own.url)
    join(reader, owner_code(own), email="ada@example.com", name="Ada", password=PASSWORD)
    own.call("stoker.v1.WebhookService/CreateWebhook", {"projectId": own.project, "url": receiver.url})
    depot, head = Depot(own, tmp_path), HEADER + SHELL
    engine = {"STOKER_CACHE": str(own.cache), "STOKER_ENGINE_FOLDER": str(own.engine.buildctl.parent)}
    stoker = Command(tmp_path, {**own.first, **engine})
    whole = make_context(tmp_path / "whole", head + "".join(f"RUN {line}\n" for line in (*secrets, *ordinary)))
    failing = make_context(tmp_path / "failing", head + f"RUN {'; '.join(secrets)}; exit 42\n")

    assert (result := depot.build(cwd=whole)).code == 0, result.output
    assert depot.build(cwd=failing).code != 0
    assert stoker.apart("build", str(failing)).code != 0
    build, token = own.new_build()
    endpoint = get_endpoint(own, build, token, tmp_path / "endpoint")
    failed = endpoint.build(failing)
    assert "exit code: 42" in failed.output
    reason = failed.output.strip().split("\n")[-1]
    own.call("depot.build.v1.BuildService/FinishBuild", {"buildId": build, "error": {"error": reason}})

    builds = own.builds()
    assert [status for _, status, _ in builds] == ["succeeded", "failed", "failed", "failed"]
    for one, status, error in builds:
        when_recorded(own, one)
        if status == "failed":
            assert str(error).endswith("exit code: 42"), error
        for where, text in shown(own, reader, one):
            assert "leak" not in text, (one, where, text[max(0, text.index("leak") - 200) :][:400])
    eventually(lambda: len(receiver.received) == 4, "the webhook is told of all builds")
    for received in receiver.received:
        assert b"leak" not in received.body
    assert sum(b"exit code: 42" in received.body for received in receiver.received) == 3
    eventually(lambda: own.query("select 1 from cache_contents"), "the machine stops, and its cache is written down")
    eventually(lambda: list((own.data / "logs" / "machines").glob("*.log")), "its log is kept")
    for where, content in stored(own):
        place = content.find(b"leak")
        assert place < 0, (where, content[max(0, place - 300) : place + 100])

    names = [name for (name,) in own.query("select name from steps where build_id = ?", builds[0][0])]
    shown_names = [name.partition("RUN ")[2] for name in names]
    assert [line for line in ordinary if line not in shown_names] == []
    assert sum("***" in name for name in shown_names) == len(secrets)
