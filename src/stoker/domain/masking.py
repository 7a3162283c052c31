"""Take the values out of texts that assign to a name which looks like a secret's.

BuildKit never says the values of secrets that are mounted. But steps' names are their instructions, with what was
assigned in them: ``RUN |1 NPM_TOKEN=… ``, ``ENV DB_PASSWORD=…``, ``--api-key=…``.
"""

from __future__ import annotations

import re

MASK = "***"
_ASSIGNMENT = re.compile(
    r"""(?P<name>(?<![\w-])[\w-]{1,200})=(?P<value>"(?:[^"\\]|\\.)*"|'[^']*'|(?:\\.|[^\s"'\\])+)""", re.ASCII
)
_WORDS = re.compile("TOKEN|SECRET|PASSW|PASSPHRASE|CREDENTIAL|PRIVATE|KEY|AUTH", re.IGNORECASE)
# What is said of where a secret is, not what it is: TOKEN_FILE=/run/secrets/token.
_PLACES = re.compile("(?:^|[_-])(?:FILE|PATH|DIR|URL|URI|ID|NAME)$", re.IGNORECASE)


def looks_secret(name: str) -> bool:
    """Whether a name is one that people give to secrets."""
    return _WORDS.search(name) is not None and _PLACES.search(name) is None


def mask_assignments(text: str) -> str:
    """``text`` with a mask in place of each value that is assigned to a name which looks like a secret's."""

    def masked(found: re.Match[str]) -> str:
        return f"{found['name']}={MASK}" if looks_secret(found["name"]) else found[0]

    return _ASSIGNMENT.sub(masked, text) if "=" in text else text
