"""The data directory: where everything that one machine keeps lies, closed to other users."""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from authz_service.errors import Misconfigured

LONGEST_SOCKET_PATH = 100  # sun_path holds 108 bytes on Linux, Envoy's own limit included


@dataclass(frozen=True, slots=True)
class DataDir:
    """The names of the files in a data directory (0700; files 0600)."""

    root: Path

    @classmethod
    def open(cls, root: Path) -> DataDir:
        """Create the directory if need be; raises `Misconfigured` when others may read it."""
        directory = cls(root.absolute())
        for folder in (directory.root, directory.sockets):
            _private_folder(folder)
        return directory

    @property
    def sockets(self) -> Path:
        """Where Unix sockets lie: within the directory, unless its path is too long for a socket."""
        inside = self.root / "run"
        if len(os.fsencode(inside)) + len("/service.sock") <= LONGEST_SOCKET_PATH:
            return inside
        name = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"authz-{os.getuid()}-{name}"

    @property
    def service_socket(self) -> Path:
        """Where Envoy reaches ext_authz and ext_proc."""
        return self.sockets / "service.sock"

    @property
    def review_socket(self) -> Path:
        """Where the command line reaches the review API."""
        return self.sockets / "review.sock"

    @property
    def admin_socket(self) -> Path:
        """Envoy's own administration interface."""
        return self.sockets / "envoy-admin.sock"

    @property
    def database(self) -> Path:
        """The embedded SQLite database."""
        return self.root / "authz.db"

    @property
    def log_key(self) -> Path:
        """The key that signs the heads of the record, a C2SP signing key."""
        return self.root / "log.key"

    @property
    def checkpoints(self) -> Path:
        """The checkpoints of the record, a line of JSON each; only ever appended to."""
        return self.root / "checkpoints" / "checkpoints.jsonl"

    @property
    def checkpoint_receivers(self) -> Path:
        """How the delivery of checkpoints stands, for `authz doctor`."""
        return self.root / "checkpoints" / "receivers.json"

    @property
    def issuer_key(self) -> Path:
        """The embedded issuer's private key, PEM."""
        return self.root / "issuer.pem"

    @property
    def seal_key(self) -> Path:
        """32 bytes: seals what Check found for Process."""
        return self.root / "seal.key"

    @property
    def api_key_key(self) -> Path:
        """32 bytes: what API keys are hashed with."""
        return self.root / "api_keys.key"

    @property
    def saml_key(self) -> Path:
        """32 bytes: seals logins by SAML, and signs the tokens that they end with."""
        return self.root / "saml.key"

    @property
    def saml_requests(self) -> Path:
        """The private key that signs requests of logins by SAML, and its certificate, PEM."""
        return self.root / "saml_requests.pem"

    @property
    def pseudonym_key(self) -> Path:
        """32 bytes: turns identities into the pseudonyms that entries carry."""
        return self.root / "pseudonym.key"

    @property
    def master_key(self) -> Path:
        """64 hexadecimal digits: wraps the keys of subjects."""
        return self.root / "master.key"

    @property
    def subject_keys(self) -> Path:
        """The SQLite database with the keys of subjects; never in one backup with the record."""
        return self.root / "keys.db"

    @property
    def mask_key(self) -> Path:
        """32 bytes: what masks that hash a value hash it with."""
        return self.root / "mask.key"

    @property
    def envoy_config(self) -> Path:
        """The rendered Envoy configuration that `authz up` runs."""
        return self.root / "envoy.yaml"

    @property
    def up(self) -> Path:
        """Written when `authz up` is ready: gateway URL, review address, metrics URL."""
        return self.root / "up.json"

    @property
    def logs(self) -> Path:
        """Log files of the processes that `authz up` runs."""
        return self.root / "logs"


def _private_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
    except OSError as error:
        raise Misconfigured(
            f"cannot make or open {folder} ({error.strerror}); name another directory with --data-dir"
        ) from error
    if status.st_uid != os.getuid():
        raise Misconfigured(f"{folder} belongs to another user; name a directory of your own with --data-dir")
    if status.st_mode & 0o077:
        mode = f"{status.st_mode & 0o777:o}"
        raise Misconfigured(f"{folder} is open to other users (mode {mode}); run: chmod 700 {folder}")
