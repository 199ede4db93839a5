"""The keys of subjects: made when first needed, remembered for a while, destroyed for good.

Each person whose payloads are on record has a key of their own, named by their pseudonym; "" names the
service itself. A key is committed in the key store before anything that it sealed is in the record.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

import structlog

from authz_service.errors import Unavailable
from authz_service.keys.master_key import MasterKey, WrongKey
from authz_service.keys.payload_cipher import SUBJECT_KEY_BYTES
from authz_service.store.damage import damaged_key
from authz_service.store.key_schema import subject_keys
from authz_service.store.key_store import KeyStore, LiveKey

log = structlog.get_logger(__name__)

MOST_REMEMBERED = 10_000
REMEMBERED_SECONDS = 30.0
"""After this another replica's destruction of a key is known here too."""


class SubjectKey(NamedTuple):
    """A subject's key and the name under which payloads refer to it."""

    id: str
    key: bytes


class _Remembered(NamedTuple):
    key: SubjectKey
    until: float


class Keyring:
    """Thread-safe. `name` is that of the key store, which the record's database knows it by."""

    def __init__(
        self, store: KeyStore, *, master: MasterKey, name: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.name = name
        self._store = store
        self._master = master
        self._clock = clock
        self._lock = threading.Lock()
        self._current: dict[str, _Remembered] = {}
        self._opened: dict[str, _Remembered] = {}

    def current(self, subject: str) -> SubjectKey:
        """The key that seals what is new of `subject`; raises `Unavailable` when the key store is away."""
        known = self._current.get(subject)
        if known is not None and known.until > self._clock():
            return known.key
        with self._lock:
            row = self._store.live(subject) or self._create(subject)
            key = SubjectKey(row.id, self._unwrap(row.id, row.wrapped))
            self._remember(subject, key)
            return key

    def key(self, key_id: str) -> bytes | None:
        """The key of that id; None when it was destroyed, or is not here."""
        known = self._opened.get(key_id)
        if known is not None and known.until > self._clock():
            return known.key.key
        with self._lock:
            wrapped = self._store.wrapped(key_id)
            if wrapped is None:
                self._opened.pop(key_id, None)
                return None
            key = SubjectKey(key_id, self._unwrap(key_id, wrapped))
            self._bounded(self._opened)[key_id] = _Remembered(key, self._clock() + REMEMBERED_SECONDS)
            return key.key

    def held(self, subject: str) -> Sequence[str]:
        """The ids of all keys that open what is on record of `subject`."""
        with self._lock:
            return self._store.held(subject)

    def retire(self, subject: str) -> None:
        """Seal what is new of `subject` under another key from now on; another replica within half a minute.

        May be done again, and costs nothing but a key where no erasure follows.
        """
        with self._lock:
            self._store.retire(subject)
            self._current.pop(subject, None)

    def knows(self, key_id: str) -> bool:
        """Whether the key of that id was made in this key store, destroyed since or not."""
        with self._lock:
            return self._store.is_known(key_id)

    def destroy_keys(self, key_ids: Collection[str]) -> int:
        """Destroy those of the keys that are there, and only these; how many.

        Once this returns, nothing that they sealed can be opened with this key store, by no replica for
        longer than half a minute.
        """
        with self._lock:
            self._current.clear()
            return self._gone(self._store.destroy(subject_keys.c.id.in_(key_ids))) if key_ids else 0

    def _gone(self, key_ids: Sequence[str]) -> int:
        for key_id in key_ids:
            self._opened.pop(key_id, None)
        return len(key_ids)

    def close(self) -> None:
        """Forget all keys and close the key store."""
        with self._lock:
            self._current.clear()
            self._opened.clear()
            self._store.close()

    def _create(self, subject: str) -> LiveKey:
        key_id = secrets.token_hex(16)
        wrapped = self._master.wrap(secrets.token_bytes(SUBJECT_KEY_BYTES), purpose=key_id)
        return self._store.create(subject, key_id=key_id, wrapped=wrapped)

    def _unwrap(self, key_id: str, wrapped: bytes) -> bytes:
        try:
            return self._master.unwrap(wrapped, purpose=key_id)
        except WrongKey as error:
            if self._store.has_same_master():
                log.error("key.damaged", key=key_id)
                raise damaged_key() from error
            raise Unavailable(
                "a key of the record is wrapped by another master key, so nothing was released",
                code="wrong_master_key",
            ) from error

    def _remember(self, subject: str, key: SubjectKey) -> None:
        until = self._clock() + REMEMBERED_SECONDS
        for known, name in ((self._current, subject), (self._opened, key.id)):
            self._bounded(known)[name] = _Remembered(key, until)

    @staticmethod
    def _bounded(known: dict[str, _Remembered]) -> dict[str, _Remembered]:
        if len(known) >= MOST_REMEMBERED:
            known.clear()
        return known
