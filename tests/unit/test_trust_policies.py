"""Which claims a policy lets in, how long keys are kept, and when a token counts."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoker.assembly import oidc_providers
from stoker.auth.issuer_documents import DocumentUnavailable
from stoker.auth.issuer_keys import IssuerKeys, KeyTimes
from stoker.auth.oidc import MAX_TOKEN_LENGTH, OidcVerifier, looks_like_jwt
from stoker.auth.tokens import new_token
from stoker.domain.errors import InvalidInput, StokerError, Unauthenticated, Unavailable
from stoker.domain.principals import CredentialKind, Principal
from stoker.domain.trust_policies import (
    ProviderKind,
    TrustPolicy,
    VerifiedClaims,
    checked_source,
    find_issuer,
    matches,
)
from stoker.settings.effective import Settings
from stoker.settings.loading import SettingsError, load_settings
from stoker.settings.oidc import OidcProvider, OidcSettings
from stoker.system import SystemRandomness
from tests.harness.issuer import ORGANIZATION, Issuer

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PROJECT = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"
GITLAB = OidcProvider(
    name="gitlab",
    kind=ProviderKind.GITLAB,
    issuer="https://gitlab.com",
    audience="https://stoker.example.com",
    algorithms=("RS256",),
)
WITH_GITLAB = Settings(oidc=OidcSettings(oidc_providers=(GITLAB,)))
TIMES = KeyTimes(between_looks=timedelta(seconds=10))
PROVIDERS = {provider.name: provider for provider in oidc_providers(WITH_GITLAB)}
GOOD: dict[str, tuple[tuple[str, str], dict[str, object]]] = {
    "github": (("Acme", "app"), {"repository_owner": "Acme", "repository": "Acme/app"}),
    "gitlab": (("group/sub", "app"), {"namespace_path": "group/sub", "project_path": "group/sub/app"}),
    "buildkite": (("acme", "app"), {"organization_slug": "acme", "pipeline_slug": "app"}),
    "circleci": ((ORGANIZATION, PROJECT), {"oidc.circleci.com/project-id": PROJECT}),
}


def a_policy(name: str) -> TrustPolicy:
    provider, (owner, source) = PROVIDERS[name], GOOD[name][0]
    issuer = provider.issuer_of(owner)
    return TrustPolicy("policy", "project", name, provider.kind, issuer, owner, source, NOW)


def some_claims(name: str, **changed: object) -> VerifiedClaims:
    return VerifiedClaims(PROVIDERS[name], a_policy(name).issuer, GOOD[name][1] | changed)


@pytest.mark.parametrize("name", GOOD)
def test_a_policy_matches_its_own_source_alone(name: str) -> None:
    policy, claims = a_policy(name), some_claims(name)
    assert matches(policy, claims)
    assert not matches(replace(policy, issuer="https://example.com"), claims)
    assert not matches(replace(policy, source=policy.source + "x"), claims)
    for other in set(GOOD) - {name}:
        assert not matches(a_policy(other), claims)


NOT_THE_SAME = st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(), st.lists(st.text()), st.dictionaries(st.text(), st.text())
)


@given(st.sampled_from(sorted(GOOD)), NOT_THE_SAME, st.data())
def test_any_other_value_of_any_claim_does_not_match(name: str, value: object, data: st.DataObject) -> None:
    claim = data.draw(st.sampled_from(sorted(GOOD[name][1])))
    if value != GOOD[name][1][claim]:
        assert not matches(a_policy(name), some_claims(name, **{claim: value}))


@pytest.mark.parametrize("name", ["gitlab", "buildkite", "circleci"])
def test_only_github_is_compared_in_any_case(name: str) -> None:
    for claim, value in GOOD[name][1].items():
        assert not matches(a_policy(name), some_claims(name, **{claim: str(value).upper()}))
    assert matches(a_policy("github"), some_claims("github", repository_owner="ACME", repository="acme/APP"))


def test_letters_beyond_ascii_are_never_the_same() -> None:
    policy = replace(a_policy("github"), owner="kubernetes")
    kelvin = "\N{KELVIN SIGN}ubernetes"
    assert not matches(policy, some_claims("github", repository_owner=kelvin, repository=f"{kelvin}/app"))


def test_a_repository_may_be_given_with_its_owner() -> None:
    assert checked_source(ProviderKind.GITHUB, "acme", "Acme/app") == ("acme", "app")
    assert checked_source(ProviderKind.GITLAB, "group/sub", "group/sub/app") == ("group/sub", "app")
    assert checked_source(ProviderKind.CIRCLECI, ORGANIZATION.upper(), PROJECT.upper()) == (ORGANIZATION, PROJECT)


@given(st.sampled_from(ProviderKind), st.text(max_size=50), st.text(max_size=50))
def test_whatever_is_no_name_is_refused_with_a_reason(kind: ProviderKind, owner: str, source: str) -> None:
    try:
        owner, source = checked_source(kind, owner, source)
    except InvalidInput:
        return
    assert owner.isascii()
    assert source.isascii()
    assert not set("*?:\n ") & set(owner + source)


@pytest.mark.parametrize(
    "issuer",
    [
        "",
        "https://oidc.circleci.com/org/",
        "https://oidc.circleci.com/org/{organization}",
        f"https://oidc.circleci.com/org/{ORGANIZATION}/",
        f"https://oidc.circleci.com/org/{ORGANIZATION}\n",
        f"https://oidc.circleci.com/org/../{ORGANIZATION}",
        f"https://oidcXcircleci.com/org/{ORGANIZATION}",
        "https://token.actions.githubusercontent.com/acme",
        "HTTPS://token.actions.githubusercontent.com",
    ],
)
def test_an_issuer_that_is_only_like_one_of_ours_is_none(issuer: str) -> None:
    assert find_issuer(PROVIDERS.values(), issuer) is None


def test_circleci_has_an_issuer_and_an_audience_for_each_organization() -> None:
    found = find_issuer(PROVIDERS.values(), f"https://oidc.circleci.com/org/{ORGANIZATION}")
    assert found is not None
    assert (found.provider.name, found.audience) == ("circleci", ORGANIZATION)


def test_an_oidc_caller_sees_only_the_projects_that_trust_it() -> None:
    caller = Principal(CredentialKind.OIDC, "policy", "org", trusting_projects=frozenset({"a", "b"}))
    assert caller.may_see_project("org", "a")
    assert caller.may_see_build("org", "b", "build", is_untrusted=False)
    assert not caller.may_see_project("org", "c")
    assert not Principal(CredentialKind.OIDC, "policy", "org", "a").may_see_project("org", "a")


class Time:
    """A clock that stands still."""

    def __init__(self) -> None:
        self.time = NOW

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.time.timestamp()


class Published:
    """An issuer's documents, and how often they were asked for."""

    def __init__(self, *issuers: Issuer) -> None:
        self.issuers = issuers
        self.looks = 0
        self.down = False

    async def fetch(self, url: str) -> Mapping[str, Any]:
        self.looks += url.endswith("/jwks")
        await asyncio.sleep(0)
        if self.down:
            raise DocumentUnavailable("down")
        return next(one.documents[url] for one in self.issuers if url in one.documents)


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    return Issuer("https://token.actions.githubusercontent.com")


@pytest.fixture
def published(issuer: Issuer) -> Published:
    return Published(issuer)


@pytest.fixture
def clock() -> Time:
    return Time()


@pytest.fixture
def keys(published: Published, clock: Time) -> IssuerKeys:
    return IssuerKeys(published, clock, TIMES)


async def test_many_unknown_key_ids_make_one_look_in_a_while(
    keys: IssuerKeys, published: Published, clock: Time, issuer: Issuer
) -> None:
    await asyncio.gather(*(keys.find(issuer.url, f"unknown-{number}") for number in range(100)))
    assert published.looks == 1
    kid = issuer.keys[0].kid or ""
    assert await keys.find(issuer.url, kid) is not None
    clock.time += timedelta(seconds=9)
    assert await keys.find(issuer.url, "unknown") is None
    assert published.looks == 1
    clock.time += timedelta(seconds=1)
    assert await keys.find(issuer.url, "unknown") is None
    assert published.looks == 2


async def test_known_keys_outlast_an_issuer_that_is_down_but_not_for_ever(
    keys: IssuerKeys, published: Published, clock: Time, issuer: Issuer
) -> None:
    kid = issuer.keys[0].kid or ""
    assert await keys.find(issuer.url, kid) is not None
    published.down = True
    clock.time += timedelta(hours=11)
    assert await keys.find(issuer.url, kid) is not None
    with pytest.raises(Unavailable, match="can't be fetched at the moment"):
        await keys.find(issuer.url, "unknown")
    clock.time += timedelta(hours=1)
    with pytest.raises(Unavailable):
        await keys.find(issuer.url, kid)
    published.down = False
    clock.time += timedelta(minutes=1)
    assert await keys.find(issuer.url, kid) is not None


async def test_one_caller_that_gives_up_does_not_stop_the_others(keys: IssuerKeys, issuer: Issuer) -> None:
    kid = issuer.keys[0].kid or ""
    first, second = (asyncio.ensure_future(keys.find(issuer.url, kid)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert await second is not None


@pytest.mark.parametrize(
    "documents",
    [
        {"issuer": "https://example.com", "jwks_uri": "https://example.com/jwks"},
        {"issuer": "https://token.actions.githubusercontent.com", "jwks_uri": "http://example.com/jwks"},
        {"issuer": "https://token.actions.githubusercontent.com", "jwks_uri": "file:///etc/passwd"},
        {"issuer": "https://token.actions.githubusercontent.com", "jwks_uri": 7},
        {"issuer": "https://token.actions.githubusercontent.com"},
        {},
    ],
)
async def test_an_odd_configuration_counts_as_none(clock: Time, issuer: Issuer, documents: dict[str, Any]) -> None:
    class Odd:
        async def fetch(self, url: str) -> Mapping[str, Any]:
            assert url.endswith("openid-configuration")
            return documents

    with pytest.raises(Unavailable):
        await IssuerKeys(Odd(), clock, TIMES).find(issuer.url, "any")


async def test_only_keys_that_can_sign_are_taken(clock: Time, issuer: Issuer) -> None:
    good = issuer.keys[0].as_dict(private=False)
    kid = str(good["kid"])
    odd: list[object] = [
        {"kty": "oct", "k": "c2VjcmV0", "kid": "secret"},
        {**good, "kid": "for-encryption", "use": "enc"},
        {"kty": "RSA", "kid": "broken", "n": "!", "e": "AQAB"},
        {"kty": "RSA", "kid": "empty"},
        {"kty": ["RSA"], "kid": "list"},
        {**good, "kid": 7},
        "text",
        None,
    ]

    class Mixed(Published):
        async def fetch(self, url: str) -> Mapping[str, Any]:
            return {"keys": [*odd, good]} if url.endswith("/jwks") else await super().fetch(url)

    keys = IssuerKeys(Mixed(issuer), clock, KeyTimes(between_looks=timedelta()))
    assert await keys.find(issuer.url, kid) is not None
    for name in ("secret", "for-encryption", "broken", "empty", "list", "7"):
        assert await keys.find(issuer.url, name) is None


@pytest.mark.parametrize(
    ("times", "good"),
    [
        ({"exp": -29}, True),
        ({"exp": -30}, False),
        ({"iat": 30, "nbf": 30}, True),
        ({"iat": 31}, False),
        ({"nbf": 31}, False),
        ({"nbf": None}, True),
        ({"exp": float("inf")}, False),
        ({"exp": float("nan")}, False),
        ({"exp": True}, False),
        ({"exp": 10**400}, False),
        ({"nbf": "now"}, False),
    ],
)
async def test_times_count_with_thirty_seconds_of_leeway(
    keys: IssuerKeys, clock: Time, issuer: Issuer, times: dict[str, Any], good: bool
) -> None:
    verifier = OidcVerifier(tuple(PROVIDERS.values()), keys, clock)
    now = int(NOW.timestamp())
    claims = {"iat": now, "nbf": now, "exp": now + 300}
    claims |= {name: now + value if type(value) is int else value for name, value in times.items()}
    token = verifier.read(issuer.token(**claims))
    if good:
        assert (await verifier.verify(token)).values["sub"] == "test"
    else:
        with pytest.raises(Unauthenticated):
            await verifier.verify(token)


@given(st.text(max_size=200) | st.from_regex(r"[A-Za-z0-9_-]{1,80}\.[A-Za-z0-9_-]{1,80}\.[A-Za-z0-9_-]{0,80}"))
def test_no_text_at_all_breaks_the_reader(text: str) -> None:
    clock = Time()
    verifier = OidcVerifier(tuple(PROVIDERS.values()), IssuerKeys(Published(), clock, TIMES), clock)
    with pytest.raises(StokerError):
        verifier.read(text)


@pytest.mark.parametrize("text", ["[" * 5000, '{"iss":' * 1000, "1" * 6000, '{"iss": 1e999}', "null", "[]"])
def test_no_payload_breaks_the_reader(clock: Time, keys: IssuerKeys, text: str) -> None:
    payload = base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()
    verifier = OidcVerifier(tuple(PROVIDERS.values()), keys, clock)
    token = f"eyJhbGciOiJSUzI1NiIsImtpZCI6ImEifQ.{payload}.AAAA"
    assert len(token) < MAX_TOKEN_LENGTH
    with pytest.raises(Unauthenticated):
        verifier.read(token)


def test_our_own_tokens_do_not_look_like_a_jwt(issuer: Issuer) -> None:
    assert not looks_like_jwt(new_token(CredentialKind.BUILD, SystemRandomness()).secret)
    assert not looks_like_jwt("not-a-token")
    assert looks_like_jwt(issuer.token())


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({"STOKER_GITHUB_ISSUER": "http://example.com"}, "http is for loopback only"),
        ({"STOKER_CIRCLECI_ISSUER": "https://example.com"}, "{organization}"),
        ({"STOKER_OIDC_PROVIDERS": "gitlab"}, "not JSON"),
        ({"STOKER_OIDC_PROVIDERS": '[{"name": "gitlab"}]'}, "oidc_providers (from STOKER_OIDC_PROVIDERS): 0: kind"),
        (
            {
                "STOKER_OIDC_PROVIDERS": '[{"name": "a", "kind": "github", "issuer": "https://a.b", "audience": "c", '
                '"algorithms": ["HS256"]}]'
            },
            "algorithms",
        ),
        (
            {
                "STOKER_OIDC_PROVIDERS": '[{"name": "github", "kind": "github", "issuer": "https://a.b", '
                '"audience": "c"}]'
            },
            "a name of its own",
        ),
        (
            {
                "STOKER_OIDC_PROVIDERS": '[{"name": "b", "kind": "github", "issuer": "https://agent.buildkite.com", '
                '"audience": "c"}]'
            },
            "an issuer of its own",
        ),
    ],
)
def test_a_wrong_provider_is_refused_at_the_start(environ: dict[str, str], says: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({}, environ)
    assert says in str(caught.value)
