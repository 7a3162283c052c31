"""Which names people give to secrets: NPM_TOKEN, DB_PASSWORD, api-key, authToken."""

from __future__ import annotations

import re
from itertools import pairwise

# The words of a name: snake_case, kebab-case, dotted, camelCase.
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_SECRET = frozenset(
    {
        "token",
        "secret",
        "secrets",
        "password",
        "passwords",
        "passwd",
        "passphrase",
        "passphrases",
        "credential",
        "credentials",
        "creds",
    }
)
# Secret when they come last: AUTH_METHOD and KEY_PROVIDER aren't.
_SECRET_AT_END = frozenset({"key", "auth", "authorization", "pass", "cred", "jwt", "private"})
# The same, but a whole name of their own means something else: PWD is the working directory.
_SECRET_AFTER_OTHERS = frozenset({"pwd", "pat"})
_SECRET_KEYS = frozenset(
    {
        "api",
        "access",
        "secret",
        "private",
        "auth",
        "signing",
        "encryption",
        "deploy",
        "master",
        "account",
        "license",
        "service",
        "session",
        "app",
        "storage",
    }
)
_ORDINARY_KEYS = frozenset({"public", "primary", "foreign", "cache", "sort", "partition", "hot"})
# Written as one word.
_JOINED = re.compile(
    r"(?:token|secret|password|passwd|passphrase|(?:api|access|secret|private|auth|signing|encryption|ssh)key)s?$"
    r"|^(?:ssh|db|sql|mysql|pg|user|root|admin|ldap|smtp|redis)pass$"
)
_NOT_JOINED = frozenset({"tokens"})
# What is said about a secret, not what it is: TOKEN_FILE=/run/secrets/token, --key-size=4096.
_ABOUT = frozenset(
    {
        "file",
        "files",
        "path",
        "paths",
        "dir",
        "directory",
        "url",
        "uri",
        "id",
        "ids",
        "name",
        "names",
        "size",
        "length",
        "len",
        "bits",
        "bytes",
        "type",
        "kind",
        "format",
        "version",
        "algo",
        "algorithm",
        "cipher",
        "curve",
        "mode",
        "method",
        "enabled",
        "disabled",
        "required",
        "optional",
        "ttl",
        "expiry",
        "expires",
        "expiration",
        "lifetime",
        "timeout",
        "age",
        "count",
        "limit",
        "limits",
        "min",
        "max",
        "server",
        "servers",
        "ring",
        "host",
        "hosts",
        "port",
        "provider",
        "providers",
        "driver",
        "backend",
        "store",
        "header",
        "prefix",
        "suffix",
        "scheme",
        "issuer",
        "realm",
        "scope",
        "endpoint",
        "alias",
        "fingerprint",
        "user",
        "username",
        "rotation",
        "policy",
        "stdin",
        "env",
        "index",
        "delimiter",
        "separator",
        "map",
        "parallelism",
    }
)


def looks_secret(name: str) -> bool:
    """Whether a name is one that people give to secrets. Only whole words count: AUTHOR, KEYBOARD and MONKEY don't."""
    words = [word.lower() for word in _WORD.findall(name)]
    if not words or words[-1] in _ABOUT:
        return False
    if any(word in _SECRET or (_JOINED.search(word) and word not in _NOT_JOINED) for word in words):
        return True
    if words[-1] == "key" and len(words) > 1 and words[-2] in _ORDINARY_KEYS:
        return False
    if words[-1] in _SECRET_AT_END or (len(words) > 1 and words[-1] in _SECRET_AFTER_OTHERS):
        return True
    return any(first in _SECRET_KEYS and second == "key" for first, second in pairwise(words))
