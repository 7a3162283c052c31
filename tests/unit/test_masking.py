"""Secrets are taken out of what a build says, and nothing else is."""

from __future__ import annotations

import json
import shlex
import subprocess
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stoker.domain.masking import MASK, mask_arguments, mask_secrets
from stoker.domain.secret_names import looks_secret
from stoker.domain.shell_words import Passage, split_words

_LEAK = "xy7leak"

MASKED = [
    # How a shell quotes.
    ("RUN NPM_TOKEN=xy7leak make", "RUN NPM_TOKEN=*** make"),
    ('RUN DB_PASSWORD="two words-xy7leak" API=1 sh -c "exit 7"', 'RUN DB_PASSWORD=*** API=1 sh -c "exit 7"'),
    ("RUN DB_PASSWORD='a xy7leak' X=1", "RUN DB_PASSWORD=*** X=1"),
    ('RUN API_KEY=ab"xy7leak cd"gh make', "RUN API_KEY=*** make"),
    ("""RUN DB_PASSWORD='it'"'"'s xy7leak' make""", "RUN DB_PASSWORD=*** make"),
    (r"RUN DB_PASSWORD='it'\''s xy7leak' make", "RUN DB_PASSWORD=*** make"),
    (r"RUN PGPASSWORD=$'a\'b xy7leak' make", "RUN PGPASSWORD=*** make"),
    ('RUN PGPASSWORD=$"a xy7leak" make', "RUN PGPASSWORD=*** make"),
    (r"RUN DB_PASS=two\ words\ xy7leak make", "RUN DB_PASS=*** make"),
    (
        "RUN TOKEN=xy7leak;make && SECRET=xy7leak|tee (TOKEN=xy7leak)",
        "RUN TOKEN=***;make && SECRET=***|tee (TOKEN=***)",
    ),
    ("RUN export TOKEN=`echo xy7leak` X=1", "RUN export TOKEN=*** X=1"),
    ('RUN TOKEN="$(printf "%s" "a xy7leak")" make', "RUN TOKEN=*** make"),
    ("RUN X=$(TOKEN=xy7leak get) make", "RUN X=$(TOKEN=*** get) make"),
    ('RUN docker run -e "TOKEN=a xy7leak" image', 'RUN docker run -e "TOKEN=***" image'),
    ("RUN authToken=xy7leak main.apiKey=xy7leak a-secret=xy7leak", "RUN authToken=*** main.apiKey=*** a-secret=***"),
    ("RUN MYSQL_PWD=xy7leak SSHPASS=xy7leak GH_PAT=xy7leak REDISCLI_AUTH=xy7leak", None),
    # Scripts within scripts.
    ("RUN sh -c 'TOKEN=\"a xy7leak\" make'", "RUN sh -c 'TOKEN=*** make'"),
    ('RUN sh -c "TOKEN=xy7leak make"', 'RUN sh -c "TOKEN=*** make"'),
    (r'RUN bash -ec "export TOKEN=\"a xy7leak\"; make"', 'RUN bash -ec "export TOKEN=***; make"'),
    ("""RUN sh -c "sh -c 'TOKEN=xy7leak make'" """, """RUN sh -c "sh -c 'TOKEN=*** make'" """),
    ('RUN ["sh", "-c", "TOKEN=\'a xy7leak\' make"]', 'RUN ["sh", "-c", "TOKEN=*** make"]'),
    # Errors of BuildKit.
    (
        r'process "/bin/sh -c NPM_TOKEN=xy7leak DB_PASSWORD=\"a xy7leak\" m" did not complete successfully',
        'process "/bin/sh -c NPM_TOKEN=*** DB_PASSWORD=*** m" did not complete successfully',
    ),
    (
        r'[2/2] RUN TOKEN="a xy7leak" m: process "/bin/sh -c sh -c \"TOKEN=\\\"a xy7leak\\\" m\"" did not complete',
        r'[2/2] RUN TOKEN=*** m: process "/bin/sh -c sh -c \"TOKEN=*** m\"" did not complete',
    ),
    (
        'process "mysql --password xy7leak db" did not complete successfully: exit code: 1',
        'process "mysql --password *** db" did not complete successfully: exit code: 1',
    ),
    (
        r'process "/bin/bash -c cat > c <<EOF\npassword: xy7leak\nEOF\n" did not complete successfully: exit code: 1',
        r'process "/bin/bash -c cat > c <<EOF\npassword: ***\nEOF\n" did not complete successfully: exit code: 1',
    ),
    ("can't build, it's over: TOKEN='a xy7leak' don't", "can't build, it's over: TOKEN=*** don't"),
    ('RUN TOKEN="a xy7leak', "RUN TOKEN=***"),
    # Flags.
    ("RUN app --password xy7leak --token=xy7leak -v", "RUN app --password *** --token=*** -v"),
    ("RUN app -password xy7leak --api-key 'a xy7leak' -v", "RUN app -password *** --api-key *** -v"),
    ('RUN ["app", "--password", "a xy7leak", "-v"]', 'RUN ["app", "--password", "***", "-v"]'),
    ("RUN mysql -uroot -pxy7leak db", "RUN mysql -uroot -p*** db"),
    ("RUN docker login -u me -p xy7leak example.com", "RUN docker login -u me -p *** example.com"),
    ("RUN echo xy7leak | docker login -u me --password-stdin", "RUN echo *** | docker login -u me --password-stdin"),
    ("RUN sshpass -p xy7leak ssh host", "RUN sshpass -p *** ssh host"),
    ("RUN curl -u me:xy7leak https://example.com", "RUN curl -u me:*** https://example.com"),
    ("RUN echo root:xy7leak | chpasswd", "RUN echo root:*** | chpasswd"),
    ("RUN openssl enc -pass pass:xy7leak", "RUN openssl enc -pass ***"),
    # What BuildKit says of a step's cache: arguments joined by spaces.
    (
        "mount / from exec /bin/busybox sh -c DB_PASSWORD='two words xy7leak' API=1 true",
        "mount / from exec /bin/busybox sh -c DB_PASSWORD=*** API=1 true",
    ),
    # Several in one word that is quoted.
    (
        r'RUN sh -c "TOKEN=xy7leak curl -H \"Authorization: Bearer xy7leak\""',
        r'RUN sh -c "TOKEN=*** curl -H \"Authorization: Bearer ***\""',
    ),
    (
        r'level=error span="RUN KEY=xy7leak a; curl -u me:xy7leak; curl -H \"X-Api-Key: xy7leak\""',
        r'level=error span="RUN KEY=*** a; curl -u me:***; curl -H \"X-Api-Key: ***\""',
    ),
    (
        r'msg="process \"/bin/sh -c KEY=\\\"a xy7leak\\\" a; b -H \\\"X-Api-Key: xy7leak\\\"\" did not complete"',
        r'msg="process \"/bin/sh -c KEY=*** a; b -H \\\"X-Api-Key: ***\\\"\" did not complete"',
    ),
    ('RUN curl -u "$(SECRET=xy7leak get):xy7leak" u', None),
    # Headers, URLs, configuration.
    ('RUN curl -H "Authorization: Bearer xy7leak" u', 'RUN curl -H "Authorization: Bearer ***" u'),
    ("RUN curl -H 'authorization: xy7leak' u", "RUN curl -H 'authorization: ***' u"),
    ("RUN curl -H 'PRIVATE-TOKEN: xy7leak' -H X-Api-Key:xy7leak u", None),
    (
        'process "curl -H Authorization: Basic xy7leak u" did not complete successfully: exit code: 22',
        'process "curl -H Authorization: Basic *** u" did not complete successfully: exit code: 22',
    ),
    ("the server said Bearer xy7leak", "the server said Bearer ***"),
    ("RUN git clone https://me:xy7leak@example.com/x", "RUN git clone https://me:***@example.com/x"),
    ("RUN git clone https://xy7leak@example.com/x", "RUN git clone https://***@example.com/x"),
    ("RUN psql postgres://me:xy@7leak@db/x?sslmode=off", "RUN psql postgres://me:***@db/x?sslmode=off"),
    ("RUN curl 'https://a/?b=c&token=xy7leak&d=e'", "RUN curl 'https://a/?b=c&token=***&d=e'"),
    ("RUN aws configure set aws_secret_access_key xy7leak", "RUN aws configure set aws_secret_access_key ***"),
    ("RUN echo 'aws_secret_access_key = xy7leak' > c", "RUN echo 'aws_secret_access_key = ***' > c"),
    ("""RUN echo '{"auths":{"r":{"auth":"xy7leak"}}}' > c""", """RUN echo '{"auths":{"r":{"auth":"***"}}}' > c"""),
    (r'RUN echo "{\"auth\": \"xy7leak\"}" > c', r'RUN echo "{\"auth\": \"***\"}" > c'),
    ("RUN npm config set //r.example.com/:_authToken xy7leak", "RUN npm config set //r.example.com/:_authToken ***"),
    ("RUN printf 'machine m login me password xy7leak' > n", "RUN printf 'machine m login me password ***' > n"),
    ("ENV API_KEY a xy7leak", "ENV API_KEY *** ***"),
]

ORDINARY = [
    "RUN AUTHOR=me KEYBOARD=de MONKEY=george TOKENIZERS_PARALLELISM=false AUTHORS=a,b",
    "RUN apt-key adv --keyserver=hkp://keyserver.ubuntu.com:80 --recv-keys 0123ABCD",
    "RUN openssl genrsa --key-size=4096 && ssh-keygen -t rsa -b 4096",
    "RUN go build -X main.author=me -ldflags='-X main.version=1'",
    "RUN --mount=type=secret,id=npm_token,target=/root/.npmrc npm ci",
    "RUN --mount=type=secret,id=npm,env=NPM_TOKEN npm ci",
    "RUN TOKEN_FILE=/run/secrets/token PASSWORD_FILE=/x KEY_ID=3 AUTH_URL=https://a/b make",
    "RUN TOKEN=$(cat /run/secrets/token) make",
    'RUN NPM_TOKEN="$NPM" PASSWORD=${PW} make',
    'RUN if [ "$AUTH" = yes ]; then echo $TOKEN; fi',
    "RUN MAX_TOKENS=4096 BYPASS=1 COMPASS=n PASSES=2 PWD=/app OLDPWD=/ HOTKEY=x TURKEY=y make",
    "RUN PRIMARY_KEY=id SSH_PUBLIC_KEY=ssh-ed25519 CACHE_KEY=v1 TOKEN_TTL=5m PASSWORD_MIN_LENGTH=12 make",
    "RUN pip install pyjwt==2.9.0 django-auth==1.2 keyring==25.0",
    "RUN gh auth login --with-token < /run/secrets/t && mkdir -p auth/key token",
    "RUN curl --key /etc/ssl/me.pem --cacert ca.pem https://example.com:8080/@scope/x",
    "RUN git clone ssh://git@github.com/me/tokens.git && git clone git@github.com:me/secret.git",
    "RUN mysql -p -uroot --port=3306 db < schema.sql",
    "RUN apk add --no-cache libsecret-dev keyutils pass",
    (
        "pull access denied, repository does not exist or may require authorization: server message: "
        "insufficient_scope: authorization failed"
    ),
    "failed to fetch oauth token: unexpected status from GET request to https://auth.docker.io/token: 401 Unauthorized",
    'Www-Authenticate: Bearer realm="https://auth.docker.io/token",service="registry.docker.io"',
    "[auth] library/alpine:pull token for registry-1.docker.io",
    "COPY secrets.example.yaml tokens.json /app/keys/",
    "[internal] load metadata for docker.io/library/key:latest",
    'failed to compute cache key: failed to calculate checksum of ref a: "/auth.json": not found',
    'process "/bin/sh -c make keys" did not complete successfully: exit code: 42',
    'SecretsUsedInArgOrEnv: Do not use ARG or ENV instructions for sensitive data (ENV "API_KEY")',
    "invalid token: unexpected end of input",
    "RUN password-generator --length 3 && passwd -l root",
    "exporting cache to client directory",
]


@pytest.mark.parametrize(("text", "masked"), MASKED)
def test_secrets_are_masked(text: str, masked: str | None) -> None:
    result = mask_secrets(text)
    assert _LEAK not in result
    assert "7leak" not in result
    if masked is not None:
        assert result == masked


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_text_stays(text: str) -> None:
    assert mask_secrets(text) == text


@pytest.mark.parametrize(
    "name",
    [
        "TOKEN",
        "NPM_TOKEN",
        "npmToken",
        "DB_PASSWORD",
        "db-password",
        "PGPASSWORD",
        "SSHPASS",
        "MYSQL_PWD",
        "API_KEY",
        "APIKEY",
        "apiKey",
        "KEY",
        "AUTH",
        "HTTP_AUTH",
        "_auth",
        "_authToken",
        "SECRET_KEY_BASE",
        "API_KEY_PROD",
        "GITHUBTOKEN",
        "GH_PAT",
        "SESSION_SECRET",
        "creds",
    ],
)
def test_names_of_secrets(name: str) -> None:
    assert looks_secret(name)


@pytest.mark.parametrize(
    "name",
    [
        "AUTHOR",
        "KEYBOARD",
        "MONKEY",
        "TOKENIZERS_PARALLELISM",
        "keyserver",
        "key-size",
        "main.author",
        "AUTH_METHOD",
        "TOKEN_URL",
        "KEYS",
        "MAX_TOKENS",
        "PWD",
        "BYPASS",
        "AWS_ACCESS_KEY_ID",
        "PUBLIC_KEY",
        "GOPRIVATE",
        "KEYCLOAK",
        "AUTHENTICATED",
        "PATH",
    ],
)
def test_ordinary_names(name: str) -> None:
    assert not looks_secret(name)


def test_arguments_are_masked_together() -> None:
    assert mask_arguments(["sh", "--password", "a b", "-c", "TOKEN=x make"]) == [
        "sh",
        "--password",
        MASK,
        "-c",
        "TOKEN=*** make",
    ]


_CONTENT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8)
_BARE = st.text("abcXYZ019_./:,@%+-=", min_size=1, max_size=6)
_IN_DOUBLE = _CONTENT.map(
    lambda text: text.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$").replace("`", "\\`")
)
_PIECES = st.one_of(
    _BARE,
    _CONTENT.map(lambda text: "'" + text.replace("'", "") + "'"),
    _IN_DOUBLE.map(lambda text: f'"{text}"'),
    st.text("abc '\n\t\"x", max_size=6).map(lambda text: "$'" + text.replace("'", "\\'").replace("\n", "\\n") + "'"),
    st.sampled_from(["\\ ", "\\'", '\\"', "\\\\", "\\$", "\\;", "\\\n", "''", '""']),
)
_WORD = st.lists(_PIECES, min_size=1, max_size=5).map("".join).filter(lambda word: word.replace("\\\n", ""))


def _split_by_bash(words: str) -> list[str]:
    done = subprocess.run(
        ["bash", "-c", f"for word in {words}\ndo printf '%s\\0' \"$word\"; done"],
        stdout=subprocess.PIPE,
        check=True,
        env={"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"},
    )
    return done.stdout.decode("utf-8", "surrogateescape").split("\0")[:-1]


@settings(max_examples=100, deadline=None)
@given(st.lists(_WORD, min_size=1, max_size=5))
def test_words_are_those_of_a_shell(words: list[str]) -> None:
    script = " ".join(words)
    ours = [word.text for word in split_words(Passage.whole(script)) if not word.is_operator]
    assert ours == _split_by_bash(script)


@settings(max_examples=100, deadline=None)
@given(_WORD, _WORD, st.sampled_from(["NPM_TOKEN", "DB_PASSWORD", "api-key"]))
def test_masked_is_just_the_word_of_a_shell(before: str, secret: str, name: str) -> None:
    script = f"{before} {name}={secret} end"
    # The shell says where the word ends.
    assert len(_split_by_bash(script)) == 3
    masked = mask_secrets(script)
    if _split_by_bash(f"x={secret}") != ["x="]:
        assert masked.endswith(f"{MASK} end")
    assert len(_split_by_bash(masked)) == 3


def _go_quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


_QUOTINGS = (
    lambda script: f"sh -c {shlex.quote(script)}",
    lambda script: (
        'sh -c "' + script.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$").replace("`", "\\`") + '"'
    ),
    lambda script: "RUN " + json.dumps(["sh", "-c", script]),
    lambda script: f"export A=1; {script} && echo done",
    lambda script: f"echo $({script})",
)
_ASSIGNMENTS = (
    lambda value: f"NPM_TOKEN={value} make",
    lambda value: f"app --password {value} -v",
    lambda value: f"app --api-key={value}",
    lambda value: f"MYSQL_PWD={value} mysql",
)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(_ASSIGNMENTS),
    st.lists(st.sampled_from(_QUOTINGS), max_size=3),
    st.booleans(),
    st.text("ab '\"\\$` ;&|()<>#!*?~é\n", max_size=6),
    st.text("ab '\"\\$` ;&|()<>#!*?~é\n", max_size=6),
)
def test_no_quoting_of_a_quoting_shows_a_secret(assign, quotings, is_error: bool, before: str, after: str) -> None:
    value = before + _LEAK + after
    text = assign(shlex.quote(value))
    for quoting in quotings:
        text = quoting(text)
    if is_error:
        text = f"process {_go_quoted('/bin/sh -c ' + text)} did not complete successfully: exit code: 3"
    masked = mask_secrets(text)
    assert _LEAK not in masked
    assert MASK in masked


@pytest.mark.parametrize(
    "piece",
    [
        "TOKEN=x ", '"TOKEN=', "'TOKEN=\\", "$(", '["', "\\", 'process "', "$(\"`'", '["a","', 'TOKEN=\\"', '"auth":"',
        "key://", "a'b", "password\n- key: a", "Authorization: ", "eval \"'", "echo `", "(key=\\'", "sh -c '", "\n",
        "http://a:", "=key", "key=\\\"", "-p key ", "${key", "key:\"", "[\"key\",", "Bearer ", "$'key", "key=$(",
    ],
)  # fmt: skip
def test_time_is_linear(piece: str) -> None:
    def seconds(length: int) -> float:
        text = (piece * (length // len(piece) + 1))[:length] + "TOKEN="
        began = time.process_time()
        mask_secrets(text)
        return time.process_time() - began

    # Much longer texts are not read to their end.
    assert seconds(500_000) < 3
    assert seconds(64_000) < max(0.05, seconds(8_000)) * 40
