"""The head as it is signed, and as it is believed: who can write to the database gets no signature by that.

A transaction grows the tree from the head that it finds. Were any head believed, whoever rewrites the
entries and the head of a running store would have the next commit signed over it.
"""

from __future__ import annotations

from dataclasses import dataclass

from authz_service.audit.checkpoint import Checkpoint, Signer, is_signed_by, sign_head
from authz_service.audit.merkle import Frontier
from authz_service.errors import Misconfigured
from authz_service.keys.log_key import is_ed25519_signature


@dataclass(frozen=True, slots=True)
class Head:
    """What the tree of a record is grown from, and the root over it."""

    size: int
    root: bytes
    frontier: bytes


class Heads:
    """Signs the heads that one process commits. Without a signer heads are neither signed nor checked."""

    def __init__(self, signer: Signer | None) -> None:
        self._signer = signer
        self._signed: Head | None = None
        self._believed: Head | None = None

    def sign(self, head: Head) -> bytes:
        """The signature of a head that is about to be committed: its key's id and 64 bytes, or nothing."""
        if self._signer is None:
            return b""
        self._signed = head
        return sign_head(self._checkpoint(self._signer, head), self._signer)

    def committed(self) -> None:
        """What was signed last is in the database now."""
        if self._signed is not None:
            self._believed, self._signed = self._signed, None

    def believe(self, head: Head) -> None:
        """Take a head as it is: one from before there was a key, or that somebody answers for."""
        self._believed = head

    def require(self, found: Head, signature: bytes | None) -> None:
        """Raise `Misconfigured` unless `found` is the head as it was left, or a later one with our signature.

        A replica's head is verified; that of this process is known. An empty record needs no signature.
        """
        self._signed = None  # what was signed before this transaction was committed, or never is
        if self._signer is None or found == self._believed:
            return
        why = self._doubt(self._signer, found, signature)
        if why:
            raise Misconfigured(
                f"the record's head {why}; run: authz audit verify; if you know why: authz audit accept",
                code="record_damaged",
            )
        self._believed = found

    def _doubt(self, signer: Signer, found: Head, signature: bytes | None) -> str:
        if self._believed is not None and found.size < self._believed.size:
            return f"counts {found.size} entries, and has counted {self._believed.size}"
        if not is_whole(found):
            return "does not fit its own tree"
        if found.size == 0:
            return ""
        if not signature:
            return "is not signed"
        if not is_signed_by(self._checkpoint(signer, found), signature, [signer.vkey], is_ed25519_signature):
            return (
                f"is not signed by the key that this machine has for {signer.vkey.name}"
                " (machines that share a record share its log.key)"
            )
        return ""

    @staticmethod
    def _checkpoint(signer: Signer, head: Head) -> Checkpoint:
        return Checkpoint(signer.vkey.name, head.size, head.root)


def is_whole(head: Head) -> bool:
    """Whether the frontier is one of this size, and makes this root."""
    try:
        return Frontier.from_bytes(head.size, head.frontier).root() == head.root
    except ValueError:
        return False
