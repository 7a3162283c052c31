from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoker.auth.tokens import hash_secret, new_token, parse_kind
from stoker.domain.errors import Unauthenticated
from stoker.domain.principals import CredentialKind
from stoker.system import SystemRandomness

KINDS = st.sampled_from([kind for kind in CredentialKind if kind is not CredentialKind.OIDC])


@given(KINDS)
def test_a_token_says_its_kind_and_is_stored_as_a_hash(kind: CredentialKind) -> None:
    token = new_token(kind, SystemRandomness())
    assert parse_kind(token.secret) is kind
    assert token.secret_hash == hash_secret(token.secret)
    assert token.secret not in repr(token)


@given(KINDS, st.data())
def test_one_wrong_character_is_noticed_without_a_look_at_the_database(
    kind: CredentialKind, data: st.DataObject
) -> None:
    secret = new_token(kind, SystemRandomness()).secret
    place = data.draw(st.integers(0, len(secret) - 1))
    wrong = data.draw(st.sampled_from("0123456789abcXYZ_-").filter(lambda character: character != secret[place]))
    with pytest.raises(Unauthenticated):
        parse_kind(secret[:place] + wrong + secret[place + 1 :])


@pytest.mark.parametrize(
    "secret", ["", "stoker_", "stoker_org_", "stoker_xyz_abc", "eyJhbGciOi.J9.x", "stoker_org_\N{SNOWMAN}"]
)
def test_what_is_no_token_is_refused(secret: str) -> None:
    with pytest.raises(Unauthenticated):
        parse_kind(secret)
