"""TLS of our own listeners: certificate and key are read again when their files change, without a restart."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import grpc
import structlog
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import load_pem_x509_certificates

from authz_service.errors import Misconfigured

log = structlog.get_logger(__name__)

_Version = tuple[tuple[int, int, int], ...]


class PemFiles(NamedTuple):
    """A certificate with what signed it, and its key without a password.

    With an `authority`, clients have to show a certificate that it signed.
    """

    cert: Path
    key: Path
    authority: Path | None = None


def server_credentials(files: PemFiles, *, section: str) -> grpc.ServerCredentials:
    """Credentials that follow the files: each new connection gets what they have, if it is whole.

    Raises `Misconfigured`, in the words of the `section` of the configuration, where they cannot be read or
    do not belong together. When that comes later, what was good stays, and the log says why.
    """
    current = _Current(files, section)
    return grpc.dynamic_ssl_server_credentials(
        current.first,
        current.changed,  # type: ignore[arg-type]  # the stubs lack None, which is "as before"
        files.authority is not None,
    )


class _Current:
    def __init__(self, files: PemFiles, section: str) -> None:
        self._files, self._section = files, section
        self._version: _Version = ()
        self._told = ""
        try:
            self._version = self._look()
            self.first = self._read()
        except OSError as error:
            raise Misconfigured(f"{section}: cannot read {error.filename}: {error.strerror}") from error
        except ValueError as error:
            raise Misconfigured(f"{section}: {error}") from error

    def changed(self) -> grpc.ServerCertificateConfiguration | None:
        """What the files have, where that is good and not what they had before.

        gRPC asks before each handshake, in a thread of its own; a look costs a `stat` of each file.
        """
        try:
            version = self._look()
            if version == self._version:
                return None
            found = self._read()
        except (OSError, ValueError) as error:
            # One of the two may be new already and the other come in a moment.
            self._say_once(error.strerror or "" if isinstance(error, OSError) else str(error))
            return None
        self._version, self._told = version, ""
        log.info("tls.certificate_taken", section=self._section)
        return found

    def _look(self) -> _Version:
        statuses = [path.stat() for path in self._files if path is not None]
        return tuple((status.st_mtime_ns, status.st_size, status.st_ino) for status in statuses)

    def _read(self) -> grpc.ServerCertificateConfiguration:
        cert, key = self._files.cert.read_bytes(), self._files.key.read_bytes()
        authority = None if self._files.authority is None else self._files.authority.read_bytes()
        if not _are_pair(cert, key):
            message = f"{self._files.cert} and {self._files.key} are no certificate and its key"
            raise ValueError(f"{message}, in PEM without a password")
        if authority is not None and not _certificates(authority):
            raise ValueError(f"{self._files.authority} has no certificate, in PEM")
        return grpc.ssl_server_certificate_configuration([(key, cert)], authority)

    def _say_once(self, reason: str) -> None:
        if reason != self._told:
            log.warning("tls.certificate_kept", section=self._section, reason=reason)
            self._told = reason


def _are_pair(cert: bytes, key: bytes) -> bool:
    try:
        public = load_pem_private_key(key, None).public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return False
    chain = _certificates(cert)
    return bool(chain) and chain[0] == public


def _certificates(pem: bytes) -> list[object]:
    """The public keys of the certificates; none where that is no PEM."""
    try:
        return [certificate.public_key() for certificate in load_pem_x509_certificates(pem)]
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return []
