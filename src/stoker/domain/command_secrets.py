"""Which words of a command are secrets because of the words before them: ``--password x``, ``curl -u user:x``."""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import TYPE_CHECKING

from stoker.domain.secret_names import looks_secret

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stoker.domain.shell_words import Word

_FLAG = re.compile(r"--?([A-Za-z][\w.-]+)", re.ASCII)
# Flags that take no value, mostly.
_SWITCH = re.compile(r"(?:no|skip|with|without|use|enable|disable|require|allow|show|generate|print|insecure)-")
_NAME = re.compile(r"[A-Za-z_][\w.-]*", re.ASCII)
_FILE = re.compile(r"(?:\.{0,2}|~)/.*|.*\.(?:pem|key|crt|cer|pub|json|jks|p12|pfx|asc|gpg)", re.DOTALL)
_SECRET_MOUNT = re.compile(r"(?:id|type|src)=")
_SETTING = re.compile(r"aws_secret_access_key|aws_session_token|.*:_(?:authToken|auth|password)")
# Headers of HTTP with credentials; in prose only some words end in a colon, and none of these with a hyphen.
_HEADER = re.compile(
    r"(?:^|(?<=[='\",]))(?P<name>(?:proxy-)?authorization|[\w-]*-(?:token|secret|password|key|auth)|apikey)"
    r":\s*(?:(?P<scheme>bearer|basic|token|digest|negotiate|apikey)(?:\s+|$))?",
    re.ASCII | re.IGNORECASE,
)
_BLANK = re.compile(r"\s")
_SCHEME = re.compile(r"bearer|basic|token|digest|negotiate|apikey", re.IGNORECASE)
# What follows "Bearer" in a challenge (RFC 6750, section 3), and in prose.
_NO_BEARER = re.compile(r"(?:realm|error|scope|service)=|tokens?$|auth")
_REGISTRY_CLIENTS = frozenset(
    {"docker", "podman", "buildah", "skopeo", "nerdctl", "helm", "oras", "crane", "regctl", "az", "oc"}
)
_MYSQL = frozenset(
    {
        "mysql",
        "mysqldump",
        "mysqladmin",
        "mysqlimport",
        "mysqlcheck",
        "mysqlsh",
        "mariadb",
        "mariadb-dump",
        "mariadb-admin",
    }
)
_SHELLS = frozenset({"sh", "bash", "dash", "ash", "zsh", "ksh", "su"})
_SHELL_OPTION = re.compile(r"-[A-Za-z]*c")
_WRITERS = frozenset({"echo", "printf"})
_PROGRAMS = (
    _SHELLS
    | _WRITERS
    | _MYSQL
    | _REGISTRY_CLIENTS
    | frozenset({"login", "curl", "sshpass", "redis-cli", "zip", "unzip", "7z", "7za", "passwd", "chpasswd"})
)
# Words that say anything of themselves or of the next one.
_TELLING = re.compile(r"token|secret|pass|cred|private|key|auth|jwt|pwd|pat\b|bearer|pass:", re.IGNORECASE)
_FROM_PIPE = frozenset({"--password-stdin", "--with-token", "--passphrase-fd"})


class _Awaited(Enum):
    """What the next word of a command is."""

    VALUE = auto()
    USER = auto()
    BEARER = auto()
    HEADER = auto()
    SCHEME = auto()
    EQUALS = auto()
    QUOTED = auto()
    REST = auto()


class Command:
    """The words of a command so far, and what they say of the next one."""

    def __init__(self) -> None:
        self._programs: set[str] = set()
        self._last = self._before_last = ""
        self._awaited: _Awaited | None = None
        self._awaiting_flag = ""
        self._newest: Word | None = None
        self._piped: Word | None = None
        self._before: list[tuple[Word, int]] = []

    def operator(self, mark: str) -> None:
        """Take an operator: what comes next is another command, or a file."""
        if mark in "<>":
            return
        is_written = bool(self._programs & _WRITERS)
        self._piped = self._newest if mark == "|" and is_written else None
        self._programs.clear()
        self._last = self._before_last = ""
        self._awaited = self._newest = None

    def wants_script(self) -> bool:
        """Whether the next word is a script for a shell."""
        if self._last == "eval":
            return True
        return bool(self._programs & _SHELLS) and _SHELL_OPTION.fullmatch(self._last) is not None

    def masked_before(self) -> Iterator[tuple[Word, int]]:
        """Words before the newest one that it shows to be secrets, each from a character on."""
        found, self._before = self._before, []
        return iter(found)

    def next(self, word: Word) -> int | None:
        """Take the next word; from which of its characters on it is a secret, if it is one."""
        text, found = word.text, None
        if self._awaited is not None or self._programs or self._piped or _TELLING.search(text) is not None:
            found = self._as_awaited(word)
            found = self._by_itself(text) if found is None else found
            if found != 0:
                self._look_ahead(word)
            if self._piped is not None:
                self._look_back(text)
        name = text.rpartition("/")[2] if "/" in text else text
        if name in _PROGRAMS:
            self._programs.add(name)
        self._before_last, self._last = self._last, text
        self._newest = word

        return found

    def _as_awaited(self, word: Word) -> int | None:
        awaited, text = self._awaited, word.text
        if awaited is None:
            return None
        if awaited is not _Awaited.REST:
            self._awaited = None
        match awaited:
            case _Awaited.REST:
                return 0
            case _Awaited.VALUE if text in {"=", ":"}:
                self._awaited = awaited
            case _Awaited.VALUE:
                return None if self._is_no_value(text) else 0
            case _Awaited.USER:
                return text.index(":") + 1 if ":" in text else None
            case _Awaited.BEARER:
                return None if _NO_BEARER.match(text) else 0
            case _Awaited.HEADER | _Awaited.SCHEME if _SCHEME.fullmatch(text):
                self._awaited = _Awaited.VALUE
            case _Awaited.HEADER:
                return 0
            case _Awaited.EQUALS if text == "=":
                self._awaited = _Awaited.VALUE
            case _Awaited.QUOTED if word.is_quoted:
                return 0
            case _:
                pass
        return None

    def _is_no_value(self, text: str) -> bool:
        """Whether what follows a flag can't be its secret."""
        flag = self._awaiting_flag
        if not flag:
            return False
        if text.startswith("-") and len(text) > 1 and text[1:2] in "-abcdefghijklmnopqrstuvwxyz":
            return True
        if flag == "secret" and _SECRET_MOUNT.match(text):
            return True
        return flag == "key" and _FILE.fullmatch(text) is not None

    def _by_itself(self, text: str) -> int | None:
        """Whether a word is a secret because of how it begins, and of the program before it."""
        if text.startswith("pass:") and len(text) > len("pass:"):
            return len("pass:")
        if text.startswith("-p") and len(text) > 2 and self._programs & (_MYSQL | {"sshpass", "7z", "7za"}):
            is_port = text.startswith(("-port", "-protocol"))
            return None if is_port else 2
        if text.startswith("-u") and len(text) > 2 and ":" in text and "curl" in self._programs:
            return text.index(":") + 1
        if text.startswith("--user=") and ":" in text:
            return text.index(":") + 1
        if "chpasswd" in self._programs and ":" in text:
            return text.index(":") + 1
        header = _HEADER.search(text) if ":" in text else None
        if header is not None and header.end() < len(text) and not _BLANK.search(text, 0, header.start()):
            return header.end()
        return None

    def _look_ahead(self, word: Word) -> None:
        """What a word says of the next one."""
        text, programs = word.text, self._programs
        self._awaiting_flag = ""
        flag = _FLAG.fullmatch(text)
        header = _HEADER.search(text) if ":" in text else None
        if flag is not None and looks_secret(flag[1]) and not _SWITCH.match(flag[1]):
            self._awaited, self._awaiting_flag = _Awaited.VALUE, flag[1]
        elif header is not None and header.end() == len(text):
            is_prose = header[0].islower() and self._last not in {"-H", "--header"} and "-" not in header[0]
            self._awaited = _Awaited.VALUE if header["scheme"] else _Awaited.SCHEME if is_prose else _Awaited.HEADER
        elif text.lower() == "bearer":
            self._awaited = _Awaited.BEARER
        elif text in {"-u", "--user", "-U", "--proxy-user"} and "curl" in programs:
            self._awaited = _Awaited.USER
        elif (
            (text == "-p" and (programs & {"sshpass"} or ("login" in programs and programs & _REGISTRY_CLIENTS)))
            or (text == "-a" and "redis-cli" in programs)
            or (text == "-P" and programs & {"unzip", "zip"})
        ):
            self._awaited, self._awaiting_flag = _Awaited.VALUE, "p"
        elif _SETTING.fullmatch(text) or (text == "password" and self._before_last == "login"):
            self._awaited = _Awaited.VALUE
        elif _NAME.fullmatch(text) and looks_secret(text):
            is_old_form = self._last.upper() == "ENV"
            self._awaited = _Awaited.REST if is_old_form else _Awaited.VALUE if self._last == "set" else _Awaited.EQUALS
        elif text.endswith(":") and _NAME.fullmatch(text[:-1]) and looks_secret(text):
            self._awaited = _Awaited.QUOTED

    def _look_back(self, text: str) -> None:
        """What a word says of the one that was written into its pipe."""
        piped = self._piped
        if piped is None:
            return
        if text.rpartition("/")[2] == "chpasswd" and ":" in piped.text:
            self._before.append((piped, piped.text.index(":") + 1))
        elif text in _FROM_PIPE or (text == "--stdin" and "passwd" in self._programs):
            self._before.append((piped, 0))
