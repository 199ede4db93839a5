"""The logins of this account on this machine: one file that others cannot read, changed whole."""

from __future__ import annotations

import fcntl
import json
import os
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from authz_cli.exits import Exit, Failure
from authz_cli.oauth.client import Client, Use
from authz_cli.oauth.secrets import Secrets, drop_from_keyring, keep_in_keyring, read_from_keyring

VERSION = 1
PATIENCE = 60.0  # seconds for another process that refreshes, which itself gives up earlier


@dataclass(frozen=True, slots=True)
class SavedLogin:
    """`server` is the review API's address ("" for a gateway's login that names none)."""

    use: Use
    server: str
    ca: str
    client: Client
    subject: str
    is_in_keyring: bool

    @property
    def account(self) -> str:
        """Its name in the keyring."""
        return f"{self.use} {self.server or self.client.issuer}"

    def is_for(self, use: Use, server: str | None) -> bool:
        """Whether this is the login for a server; None: for any."""
        return self.use is use and (server is None or self.server == server)


def folder() -> Path:
    """Where XDG has an application's configuration."""
    base = os.environ.get("XDG_CONFIG_HOME", "")
    # Relative paths are to be passed over (XDG Base Directory Specification).
    return (Path(base) if os.path.isabs(base) else Path.home() / ".config") / "authz"


def saved_logins() -> list[SavedLogin]:
    """All of them, the latest last; raises `Failure` for a file that others may read, or that is damaged."""
    return [_login(item) for item in _items()]


def find_login(use: Use, server: str | None) -> SavedLogin | None:
    """The login for a server, or without one the latest."""
    return next((login for login in reversed(saved_logins()) if login.is_for(use, server)), None)


def secrets_of(login: SavedLogin) -> Secrets | None:
    """None when they are gone: deleted in the keyring, say."""
    if login.is_in_keyring:
        return read_from_keyring(login.account)
    item = next((item for item in _items() if _login(item).account == login.account), None)
    try:
        return None if item is None else Secrets.from_json(item.get("secrets"))
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged() from error


def keep(login: SavedLogin, secrets: Secrets) -> None:
    """In the place of one for the same server and use; within `alone`."""
    others = [item for item in _items() if _login(item).account != login.account]
    told = asdict(login)
    if login.is_in_keyring:
        keep_in_keyring(login.account, secrets)
    else:
        told["secrets"] = secrets.to_json()
    _write([*others, told])


def refreshed(login: SavedLogin, secrets: Secrets) -> None:
    """Other secrets for a login that stays where it is in the list; within `alone`."""
    if login.is_in_keyring:
        keep_in_keyring(login.account, secrets)
        return
    items = _items()
    for item in items:
        if _login(item).account == login.account:
            item["secrets"] = secrets.to_json()
    _write(items)


def forget(login: SavedLogin) -> None:
    """Within `alone`."""
    if login.is_in_keyring:
        drop_from_keyring(login.account)
    _write([item for item in _items() if _login(item).account != login.account])


@contextmanager
def alone() -> Iterator[None]:
    """No other process changes logins meanwhile; raises `Failure` when one does not come to its end."""
    path = _own_folder() / "logins.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        until = time.monotonic() + PATIENCE
        while not _is_locked(descriptor):
            if time.monotonic() > until:
                raise Failure(f"another authz keeps {path} locked; is one suspended?", Exit.CONFLICT)
            time.sleep(0.05)  # a lock that is waited for has no time limit
        yield
    finally:
        os.close(descriptor)


def _is_locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _own_folder() -> Path:
    found = folder()
    try:
        found.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = found.stat()
    except OSError as error:
        raise Failure(f"cannot use {found}: {error.strerror}", Exit.USAGE) from error
    if status.st_uid != os.getuid() or stat.S_IMODE(status.st_mode) & 0o077:
        raise Failure(f"{found} belongs or is open to others: chmod 700 {found}", Exit.USAGE)
    return found


def _items() -> list[dict[str, Any]]:
    path = folder() / "logins.json"
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if status.st_uid != os.getuid() or stat.S_IMODE(status.st_mode) & 0o077:
                # Whoever could write it could choose which server gets the tokens.
                raise Failure(f"{path} belongs or is open to others: chmod 600 it, log in again", Exit.USAGE)
            found = json.loads(file.read())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise Failure(f"cannot read {path}: {error.strerror}", Exit.USAGE) from error
    except ValueError as error:
        raise _damaged() from error
    if not isinstance(found, dict) or found.get("version") != VERSION:
        raise _damaged()
    items = found.get("logins")
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise _damaged()
    return items


def _login(item: dict[str, Any]) -> SavedLogin:
    try:
        client = item["client"] | {"scopes": tuple(item["client"]["scopes"])}
        return SavedLogin(
            Use(item["use"]),
            item["server"],
            item["ca"],
            Client(**client),
            item["subject"],
            item["is_in_keyring"] is True,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged() from error


def _damaged() -> Failure:
    path = folder() / "logins.json"
    return Failure(f"{path} is not as this version writes it: delete it and log in again", Exit.USAGE)


def _write(items: list[dict[str, Any]]) -> None:
    """The old file or the new one is there, whatever happens: the latest refresh token is nowhere else."""
    own = _own_folder()
    try:
        descriptor, name = tempfile.mkstemp(dir=own, prefix=".logins-")  # 0600
        try:
            with os.fdopen(descriptor, "w") as file:
                json.dump({"version": VERSION, "logins": items}, file, indent=1)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(own / "logins.json")
        except BaseException:  # Ctrl-C too: tokens would be left lying in a file that nobody looks for
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise Failure(f"cannot write {own / 'logins.json'}: {error.strerror}", Exit.USAGE) from error
