"""What of a login is secret, and the desktop's keyring as its place (the extra `keyring`)."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from authz_cli.exits import Exit, Failure

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

SERVICE = "authz"


@dataclass(frozen=True, slots=True, repr=False)
class Secrets:
    """The token to show until `expires_at`, and how to get the next. No repr: it would be in a traceback."""

    token: str
    expires_at: float
    refresh_token: str = ""
    client_secret: str = ""

    def to_json(self) -> dict[str, Any]:
        """For the file or the keyring."""
        return asdict(self)

    @classmethod
    def from_json(cls, found: Any) -> Secrets:
        """Raises `ValueError` for anything that `to_json` does not write."""
        texts = ("token", "refresh_token", "client_secret")
        if not isinstance(found, dict) or not all(isinstance(found.get(name), str) for name in texts):
            raise ValueError("not the secrets of a login")
        return cls(found["token"], float(found["expires_at"]), found["refresh_token"], found["client_secret"])


def keyring_here() -> KeyringBackend | None:
    """The keyring of this session; None without the extra, or where there is none (a server, a container)."""
    try:
        import keyring
    except ModuleNotFoundError:
        return None
    backend = keyring.get_keyring()
    return backend if backend.priority > 0 else None


def keep_in_keyring(account: str, secrets: Secrets) -> None:
    """Raises `Failure` when the keyring refuses."""
    _with_keyring(lambda ring: ring.set_password(SERVICE, account, json.dumps(secrets.to_json())))


def read_from_keyring(account: str) -> Secrets | None:
    """None for an account that is not there, or is not as we wrote it."""
    found = _with_keyring(lambda ring: ring.get_password(SERVICE, account))
    try:
        return None if found is None else Secrets.from_json(json.loads(found))
    except (ValueError, KeyError, TypeError):
        return None


def drop_from_keyring(account: str) -> None:
    """One that is not there is fine."""
    if read_from_keyring(account) is not None:
        _with_keyring(lambda ring: ring.delete_password(SERVICE, account))


def _with_keyring(work: Any) -> Any:
    ring = keyring_here()
    if ring is None:
        raise Failure(
            "this login is in the keyring, and none can be reached from here: unlock it, or log in again "
            "with --storage file",
            Exit.AWAY,
        )
    try:
        return work(ring)
    except Exception as error:  # every backend has errors of its own, which could quote what it was given
        message = f"the keyring refused ({type(error).__name__}): unlock it, or log in with --storage file"
        raise Failure(message, Exit.AWAY) from None
