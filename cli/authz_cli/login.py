"""Finds the server and the person: by what was said, a login, or the data directory of this machine."""

from __future__ import annotations

import getpass
import json
import os
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from authz_cli.exits import Exit, Failure
from authz_cli.options import Target

REVIEW_AUDIENCE = "authz-review"
GROUPS = ("reviewers", "auditors", "operators", "security")
LIFETIME = 300.0  # seconds; a command that lasts longer signs itself another


@dataclass(frozen=True, slots=True)
class Login:
    """`token()` is asked anew for each call. `ca` is for servers over TCP."""

    address: str
    token: Callable[[], str]
    ca: Path | None


def log_in(target: Target) -> Login:
    """Raises `Failure` when nothing says which server, or nothing says who calls."""
    if target.token is None and not target.is_data_dir_named:
        saved = _saved(target)
        if saved is not None:
            return saved
    address = address_of(target)
    if target.token is not None:
        token = target.token
        return Login(address, lambda: token, target.ca)
    # A token of this machine's issuer means nothing to a server elsewhere, and is none of its business.
    if target.server is not None and not target.is_data_dir_named:
        raise Failure(
            f"nobody is logged in there: authz login --server {address}, or set AUTHZ_TOKEN to a token for "
            "the review API, or name the server's --data-dir",
            Exit.NOT_PERMITTED,
        )
    return Login(address, _signer(target.data_dir), target.ca)


def address_of(target: Target) -> str:
    """The server that was named, or that of the data directory; raises `Failure`."""
    address = target.server or _local_address(target)
    if not address.startswith("unix:") and not address.rpartition(":")[2].isdigit():
        raise Failure(f"{address} is no server: say unix:PATH or HOST:PORT", Exit.USAGE)
    return address


def _saved(target: Target) -> Login | None:
    """A login goes to the server that it was made for, and to no other."""
    from authz_cli.oauth.client import Use
    from authz_cli.oauth.saved import find_login

    found = find_login(Use.REVIEW, target.server)
    if found is None:
        return None
    from authz_cli.oauth.fresh import fresh_secrets

    ca = target.ca or (Path(found.ca) if found.ca else None)
    return Login(found.server, lambda: fresh_secrets(found).token, ca)


def _local_address(target: Target) -> str:
    """Where the server of the data directory says that it is: a socket, never a host.

    A data directory can come with a downloaded project; it must not choose who gets AUTHZ_TOKEN.
    """
    folder = _private(target)
    from authz_service.keys.data_dir import DataDir

    directory = DataDir(folder.absolute())
    try:
        said = json.loads(directory.up.read_bytes())
    except (OSError, ValueError):
        said = {}
    address = said.get("review") if isinstance(said, dict) else None
    if isinstance(address, str) and address.startswith("unix:"):
        return address
    return f"unix:{directory.review_socket}"


def _private(target: Target) -> Path:
    folder = target.data_dir
    try:
        status = folder.stat()
    except OSError as error:
        raise Failure(
            f"no server is known: {folder} does not exist. Start one with `authz up`, name its --data-dir, "
            "log in at one (authz login --server HOST:PORT), or set AUTHZ_SERVER and AUTHZ_TOKEN",
            Exit.USAGE,
        ) from error
    if status.st_uid != os.getuid() or stat.S_IMODE(status.st_mode) & 0o077:
        raise Failure(f"{folder} belongs or is open to others; it is not used. chmod 700 yours", Exit.USAGE)
    return folder


def _signer(folder: Path) -> Callable[[], str]:
    """Signs for the operating system's user: whoever can read the issuer's key could anyway."""
    from authz_service.identity.embedded import EmbeddedIssuer
    from authz_service.keys.data_dir import DataDir

    key = DataDir(folder.absolute()).issuer_key
    if not key.is_file():  # loading would make one, which no server knows
        raise Failure(
            f"{folder} has no embedded issuer: set AUTHZ_TOKEN to a token for the review API", Exit.USAGE
        )
    issuer = EmbeddedIssuer.load(key)
    user = getpass.getuser()
    return lambda: issuer.sign(user, GROUPS, audience=REVIEW_AUDIENCE, ttl=LIFETIME, now=time.time())
