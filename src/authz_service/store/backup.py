"""A consistent copy of a database in use: SQLite's by its own online backup, PostgreSQL's by pg_dump."""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import quote

from sqlalchemy.engine import URL, make_url

from authz_service.errors import Misconfigured, Unavailable
from authz_service.store.location import SQLITE

_DUMP = ("pg_dump", "--format=custom", "--no-owner", "--no-privileges", "--no-password")
_LONGEST_ERROR = 300


def back_up(url: str, to: Path) -> int:
    """Copy the database of `url` as it is at one moment into the new file `to` (0600); its size in bytes.

    The file is complete and on disk when this returns, and not there when it raises: `Misconfigured` where
    it exists already, the database does not, or there is no pg_dump; `Unavailable` where the copy fails.
    """
    if to.exists():
        raise Misconfigured(f"{to} is there already, and a backup is never overwritten; name another file")
    if url.startswith(SQLITE):
        source = Path(url.removeprefix(SQLITE))
        if not source.is_file():
            raise Misconfigured(f"there is no database {source} yet; nothing was backed up")
        return _published(to, lambda draft: _copy(source, draft))
    return _published(to, lambda draft: _dump(make_url(url), draft))


def _published(to: Path, write: Callable[[Path], None]) -> int:
    """Write beside `to`, and give it its name only once it is whole."""
    draft = to.with_name(f".{to.name}.{secrets.token_hex(8)}")
    try:
        os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        try:
            write(draft)
            _sync(draft)
            os.link(draft, to)  # unlike a rename it never takes another file's place
            _sync(to.parent)
            return to.stat().st_size
        finally:
            with suppress(FileNotFoundError):
                draft.unlink()
    except FileExistsError as error:
        raise Misconfigured(f"{to} is there already, and a backup is never overwritten") from error
    except OSError as error:
        raise Misconfigured(f"cannot write {to}: {error.strerror}") from error


def _copy(source: Path, draft: Path) -> None:
    """In one step, so that it is one moment; whoever writes meanwhile is not held up (WAL)."""
    address = f"file:{quote(str(source))}?mode=ro"
    try:
        with (
            closing(sqlite3.connect(address, uri=True)) as reading,
            closing(sqlite3.connect(draft)) as copy,
        ):
            reading.backup(copy, pages=-1)
            copy.execute("PRAGMA journal_mode = DELETE")  # one file, with nothing beside it
            found = copy.execute("PRAGMA quick_check").fetchone()[0]
    except sqlite3.Error as error:
        raise Unavailable(f"{source} cannot be copied ({error})", code="backup_failed") from error
    if found != "ok":
        raise Unavailable(f"{source} is damaged, and so is its copy; nothing was kept", code="backup_failed")


def _dump(url: URL, draft: Path) -> None:
    """The password goes by the environment: who lists processes would see it in an argument."""
    shown = url.set(drivername="postgresql", password=None).render_as_string()
    command = [*_DUMP, f"--file={draft}", f"--dbname={shown}"]
    if shutil.which(_DUMP[0]) is None:
        said = shlex.join([*_DUMP, "--file=FILE", f"--dbname={shown}"])
        raise Misconfigured(f"there is no pg_dump here; where there is one, run: {said}")
    environment = dict(os.environ)
    if url.password is not None:
        environment["PGPASSWORD"] = str(url.password)
    done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True)
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().replace("\n", " ")[:_LONGEST_ERROR]
        raise Unavailable(f"pg_dump failed: {said}", code="backup_failed")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
