"""Keys from a JWKS file: read again when it changes, kept while it cannot be read."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import structlog

from authz_service.identity.key_sources import LONGEST_OUTAGE, no_keys, only_key
from authz_service.identity.keys import VerifyingKey, read_jwks

LARGEST_FILE = 1024 * 1024

log = structlog.get_logger()
_Version = tuple[int, int, int]


class JwksFile:
    """The keys of a JWKS file, checked for changes at each use (one `stat`)."""

    def __init__(
        self,
        path: Path,
        *,
        longest_outage: float = LONGEST_OUTAGE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = path
        self._longest_outage = longest_outage
        self._clock = clock
        self._keys: tuple[VerifyingKey, ...] | None = None
        self._version: _Version | None = None
        self._good_at = 0.0

    async def find(self, kid: str | None, algorithm: str) -> VerifyingKey:
        return only_key(self._current(), kid, algorithm)

    async def successor(self, key: VerifyingKey, kid: str | None, algorithm: str) -> VerifyingKey | None:
        return None  # the file was looked at for this very token

    def has(self, key: VerifyingKey) -> bool:
        return key in self._current()

    async def stands_by(self, digest: str) -> bool:
        return any(key.digest == digest for key in self._current())

    async def warm(self) -> None:
        self._current()

    async def close(self) -> None:
        """Nothing to end."""

    def _current(self) -> tuple[VerifyingKey, ...]:
        try:
            self._read_if_changed()
            self._good_at = self._clock()
        except (OSError, ValueError) as error:
            self._version = None  # so that a repaired file is read, whatever its time says
            log.warning("jwks.unreadable", path=str(self._path), reason=type(error).__name__)
        if self._keys is None or self._clock() - self._good_at > self._longest_outage:
            raise no_keys()
        return self._keys

    def _read_if_changed(self) -> None:
        status = self._path.stat()
        version = (status.st_mtime_ns, status.st_size, status.st_ino)
        if version == self._version:
            return
        with self._path.open("rb") as file:
            document = file.read(LARGEST_FILE + 1)
        if len(document) > LARGEST_FILE:
            raise ValueError(f"larger than {LARGEST_FILE} bytes")
        self._keys = read_jwks(document)
        self._version = version
