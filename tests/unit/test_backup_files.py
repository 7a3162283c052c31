"""Only a whole backup is restored, only into an empty folder, and nothing that it says leads out of it."""

from __future__ import annotations

import gzip
import io
import json
import sqlite3
import tarfile
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from stoker.backup.archive import (
    DATABASE,
    KEYS,
    MAX_HEADER_BYTES,
    BackupReader,
    BackupWriter,
    Header,
    NotABackup,
    member_of,
)
from stoker.backup.creating import NoBackup, Source, create_backup
from stoker.backup.restoring import NotRestored, restore_backup
from stoker.serve.data_folder import DataFolderInUse, locked_data_folder
from stoker.store.migrate import migrate

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CONTENTS = {path: f"content of {path}".encode() for path in (*KEYS, DATABASE)}
HEADER_NAME = "backup.json"


def nothing(*_: object) -> None:
    pass


def restore(file: Path, folder: Path) -> Header:
    return restore_backup(file, folder, nothing, nothing)


@pytest.fixture
def served(tmp_path: Path) -> Path:
    """What a server leaves in its data folder."""
    folder = tmp_path / "served"
    (folder / "pki").mkdir(parents=True)
    for path in KEYS:
        (folder / path).write_bytes(CONTENTS[path])
    (folder / "pki" / ".control.key.123").write_text("half written")
    migrate(folder / DATABASE)
    return folder


@pytest.fixture
def backup(served: Path, tmp_path: Path) -> Path:
    file = tmp_path / "stoker.backup"
    create_backup(Source(served / DATABASE, served / "pki"), file, "1.2.3", NOW, nothing)
    return file


def archive_of(contents: dict[str, bytes], version: int = 1, **of_database: Any) -> bytes:
    """An archive as `tar` makes it, whose header may say what no backup says."""
    members = [member_of(path, [content]) for path, content in contents.items()]
    files = [{"path": one.path, "bytes": one.size, "sha256": one.sha256} for one in members]
    files[-1] |= of_database
    header = {"format": "stoker backup", "version": version, "stoker": "1.2.3", "made_at": NOW.isoformat()}
    return tar_of({HEADER_NAME: json.dumps(header | {"files": files}).encode(), **contents})


def tar_of(contents: dict[str, bytes | tarfile.TarInfo]) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, content in contents.items():
            if isinstance(content, tarfile.TarInfo):
                archive.addfile(content)
                continue
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    # Without the padding that tar adds.
    return target.getvalue().rstrip(b"\0") + bytes(1024 + -len(target.getvalue().rstrip(b"\0")) % 512)


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def header_of(archive: bytes) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        content = opened.extractfile(HEADER_NAME)
        assert content is not None
        return content.read()


def test_what_is_backed_up_is_restored(served: Path, backup: Path, tmp_path: Path) -> None:
    header = restore(backup, tmp_path / "new" / "folder")

    assert (header.stoker, header.made_at) == ("1.2.3", NOW)
    new = tmp_path / "new" / "folder"
    assert sorted(path.name for path in new.iterdir()) == ["lock", "pki", DATABASE]
    assert {path.name: path.read_bytes() for path in (new / "pki").iterdir()} == {
        path.removeprefix("pki/"): CONTENTS[path] for path in KEYS
    }
    for path in (backup, new / DATABASE, *(new / "pki").iterdir()):
        assert path.stat().st_mode & 0o777 == 0o600, path
    assert (new / "pki").stat().st_mode & 0o777 == 0o700
    with closing(sqlite3.connect(new / DATABASE)) as restored, closing(sqlite3.connect(served / DATABASE)) as before:
        assert list(restored.iterdump()) == list(before.iterdump())


def test_a_backup_is_a_tar_archive(backup: Path) -> None:
    with tarfile.open(backup) as archive:
        assert archive.getnames() == [HEADER_NAME, *sorted(KEYS), DATABASE]


def test_a_backup_never_replaces_a_file(served: Path, backup: Path, tmp_path: Path) -> None:
    before = backup.read_bytes()
    with pytest.raises(NoBackup, match="is there already"):
        create_backup(Source(served / DATABASE, served / "pki"), backup, "1.2.3", NOW, nothing)
    assert backup.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_backup_that_comes_to_nothing_leaves_nothing(served: Path, tmp_path: Path) -> None:
    (served / "pki" / "webhooks.key").unlink()
    file = tmp_path / "to" / "stoker.backup"
    file.parent.mkdir()
    with pytest.raises(NoBackup, match=r"lacks webhooks\.key"):
        create_backup(Source(served / DATABASE, served / "pki"), file, "1.2.3", NOW, nothing)
    assert list(file.parent.iterdir()) == []


def test_a_folder_that_is_not_empty_is_left_alone(backup: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "file").write_text("mine")
    with pytest.raises(NotRestored, match="not empty"):
        restore(backup, folder)
    assert [path.name for path in folder.iterdir()] == ["file"]


def test_a_folder_that_is_served_is_left_alone(served: Path, backup: Path) -> None:
    before = (served / DATABASE).read_bytes()
    with locked_data_folder(served), pytest.raises(DataFolderInUse):
        restore(backup, served)
    assert (served / DATABASE).read_bytes() == before


def test_what_an_interrupted_restore_left_is_replaced(backup: Path, tmp_path: Path) -> None:
    folder = tmp_path / "new"
    (folder / "restoring" / "pki").mkdir(parents=True)
    (folder / "restoring" / "pki" / "builds.key").write_text("half")
    restore(backup, folder)
    assert sorted(path.name for path in folder.iterdir()) == ["lock", "pki", DATABASE]


def test_a_backup_of_a_newer_version_is_refused(served: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(served / DATABASE)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    create_backup(Source(served / DATABASE, served / "pki"), tmp_path / "newer", "9.9", NOW, nothing)
    with pytest.raises(NotRestored, match=r"made by stoker 9\.9, which is newer"):
        restore(tmp_path / "newer", tmp_path / "new")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["lock"]


GOOD = archive_of(CONTENTS)
OTHERS = {path: content for path, content in CONTENTS.items() if path != DATABASE}


@pytest.mark.parametrize(
    ("archive", "problem"),
    [
        pytest.param(b"", "no backup of stoker", id="nothing"),
        pytest.param(bytes(10240), "no backup of stoker", id="zeros"),
        pytest.param(gzip.compress(GOOD), "decompress it first", id="compressed"),
        pytest.param(tar_of({"etc/passwd": b"root"}), "no backup of stoker", id="another archive"),
        pytest.param(tar_of({HEADER_NAME: b" " * (MAX_HEADER_BYTES + 1)}), "no backup of stoker", id="large header"),
        pytest.param(tar_of({HEADER_NAME: b"[" * 60_000}), "can't be read", id="nested header"),
        pytest.param(tar_of({HEADER_NAME: b"{}"}), "can't be read", id="empty header"),
        pytest.param(archive_of(CONTENTS, version=2), r"made by stoker 1\.2\.3", id="newer format"),
        pytest.param(archive_of(OTHERS), r"lacks stoker\.db", id="no database"),
        pytest.param(archive_of({DATABASE: b""}), r"lacks pki/builds\.key", id="no keys"),
        *(
            pytest.param(archive_of({**CONTENTS, path: b"x"}), "a file that no backup has", id=path)
            for path in (
                "../stoker.db",
                "/etc/passwd",
                "pki/../../x.key",
                "pki/sub/x.key",
                "pki/.ssh.key",
                "pki/x.sh",
                "lock",
                "pki/x.key\n",
            )
        ),
        pytest.param(
            archive_of({**CONTENTS, **{f"pki/k{number}.key": b"" for number in range(100)}}), "too many", id="many"
        ),
        pytest.param(archive_of(CONTENTS, path="pki/builds.key"), "too many files, or one twice", id="one twice"),
        pytest.param(archive_of(CONTENTS, bytes=-1), "a size", id="negative size"),
        pytest.param(archive_of(CONTENTS, bytes=True), "a size", id="no number"),
        pytest.param(archive_of(CONTENTS, bytes=10**15), "something else", id="a size of its own"),
        pytest.param(archive_of(CONTENTS, sha256="0" * 64), "another checksum", id="another checksum"),
        pytest.param(archive_of(CONTENTS, sha256=None), "no checksum", id="no checksum"),
        pytest.param(
            tar_of({HEADER_NAME: header_of(GOOD), **OTHERS, "x": link(DATABASE, "/etc/passwd")}),
            "something else",
            id="a symbolic link",
        ),
        pytest.param(
            tar_of({HEADER_NAME: header_of(GOOD), **OTHERS, "x": link(DATABASE, KEYS[0], tarfile.LNKTYPE)}),
            "something else",
            id="a hard link",
        ),
        pytest.param(
            tar_of({HEADER_NAME: header_of(GOOD), **dict(reversed(CONTENTS.items()))}), "something else", id="order"
        ),
        pytest.param(tar_of({HEADER_NAME: header_of(GOOD), **CONTENTS, "more": b"x"}), "where it should", id="more"),
        pytest.param(GOOD[:-1024], "where it should", id="no end"),
        pytest.param(GOOD[: len(GOOD) // 2], "cut off|something else", id="half"),
        pytest.param(GOOD.replace(b"content of stoker.db", b"content of stoker.DB"), "another checksum", id="damaged"),
    ],
)
def test_what_is_no_whole_backup_is_refused_before_anything_is_made(
    archive: bytes, problem: str, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(archive)
    with pytest.raises(NotABackup, match=problem):
        restore(tmp_path / "file", tmp_path / "new")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_the_archive_that_others_are_made_of_is_a_good_one() -> None:
    reader = BackupReader(io.BytesIO(GOOD))
    assert {member.path: b"".join(content) for member, content in reader.members()} == CONTENTS


def test_a_database_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(GOOD)
    with pytest.raises(NotABackup, match="its database can't be used"):
        restore(tmp_path / "file", tmp_path / "new")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["lock"]


def test_large_files_have_large_sizes() -> None:
    target = io.BytesIO()
    member = member_of(DATABASE, [b"x"])
    large = type(member)(DATABASE, 9 * 2**30, member.sha256)
    BackupWriter(target, Header("1.2.3", NOW, (large,))).add(large, [])
    last = target.getvalue()[-512:]
    assert tarfile.TarInfo.frombuf(last, "utf-8", "strict").size == 9 * 2**30
