"""The whole record from its first entry to its last: the tree, the signature, and every finding."""

from __future__ import annotations

import base64
from typing import Any

from authz_verifier.bundles import Bundle, Export
from authz_verifier.decisions import Decisions
from authz_verifier.ed25519 import is_signature
from authz_verifier.errors import DAMAGE, CannotVerify, said
from authz_verifier.notes import Kept, Key, parse_key
from authz_verifier.report import Progress, Report
from authz_verifier.tiles import WIDTH, numbered, tile_path
from authz_verifier.tree import EMPTY_ROOT, Tree, grow, perfect_root
from authz_verifier.workers import bundles


class Walk:
    """One pass over the bundles of an export, in order."""

    def __init__(self, export: Export, head: Kept, report: Report, keys: list[Key], kept: list[Kept]) -> None:
        self.export, self.head, self.report, self.keys = export, head, report, keys
        self.by_size: dict[int, list[Kept]] = {}
        for note in kept:
            self.by_size.setdefault(note.size, []).append(note)
        self.tree, self.by_entries = Tree(), Tree()
        self.levels: list[list[bytes]] = [[] for _ in range(7)]  # above the first: enough for 2^64 entries
        self.roots: dict[int, bytes] = {}
        self.at = ""
        self.former: list[Key] = []
        self.given_up: list[tuple[int, int, set[str] | None]] = []
        self.tombstones = export.tombstones
        is_whole = export.first == 1 and not self.tombstones.emptied()
        self.decisions = Decisions(is_whole)
        self.gone = self.emptied = self.left_out = 0

    def run(self, progress: Progress, jobs: int) -> None:
        """Everything, in the order of the entries; what depends on all of them comes last."""
        size = self.head.size
        for number, bundle in enumerate(bundles(self.export, size, jobs)):
            self._take(number, min(WIDTH, size - number * WIDTH), bundle)
            progress(min(size, (number + 1) * WIDTH), size)
        for level, hashes in enumerate(self.levels, 1):
            if hashes:
                self._compare_tile(level, (size >> 8 * level) // WIDTH, hashes)
        self._judge_root()
        if self.export.last > (size - 1) // WIDTH * WIDTH:  # the last bundle is there
            for record, what in self.decisions.end():
                self.report.add(record, what)
        self._note_what_is_gone()
        if self._is_as_signed():
            self.keys += self.former  # what is signed by the key that is trusted says which came before it
        for notes in self.by_size.values():
            for note in notes:
                self._judge_kept(note)

    def _is_as_signed(self) -> bool:
        """Whether all entries that were read are those of the tree that a trusted key has signed.

        Whatever else is wrong, such as a payload, is nothing that entries say.
        """
        roots = {self.tree.root(), self.by_entries.root()}
        return bool(self.report.key) and roots == {self.head.root} and not self.tombstones.leaves

    def _note_what_is_gone(self) -> None:
        first, last, size = self.export.first, self.export.last, self.head.size
        if (first, last) != (1, size):
            what = f"entries {first} to {last} of {size}"
            self.report.notes.append(f"the export has {what}; of the others only their hashes")
        told = self.tombstones.emptied()
        if self.emptied > told or (self.emptied < told and (first, last) == (1, size)):
            self.report.add("entries", f"{self.emptied} have lost their bytes, tombstones tell of {told}")
        if self.gone:
            what = "entries and payloads were purged or erased, as entries about retention say"
            self.report.notes.append(f"{self.gone} {what}")
        for ordered in self.tombstones.under_way():
            what = "until it ends, whatever is missing of this person passes for erased"
            self.report.notes.append(f"an erasure is under way (entry {ordered}): {what}")
        if self.left_out:
            self.report.notes.append(f"{self.left_out} values before masking are not part of an export")
        for sequence, hashes in self.tombstones.leaves.items():
            what = "is not an entry of the tree" if len(hashes) == 1 else "is there more than once"
            self.report.add(f"tombstones.jsonl, entry {sequence}", what)
        if not self.export.has_payloads:
            self.report.notes.append("the export has no payloads")

    def _take(self, number: int, width: int, bundle: Bundle) -> None:
        start = number * WIDTH
        name = tile_path(f"tile/0/{numbered(number)}", width)
        if bundle.first_at and bundle.first_at < self.at:
            bundle = self.export.bundle(number, width, self.at)  # which entries of it are older
        leaves = bundle.stored or bundle.found
        if bundle.stored is None:
            bundle.add(start, "is missing or cut", name)
        if leaves is None:
            raise CannotVerify(f"{name} is missing or cut: the export is not whole")
        self.at = max(self.at, bundle.last_at)
        self._follow(bundle)
        self._judge_missing(bundle)
        for _, record, what in sorted(bundle.wrong, key=lambda wrong: wrong[0]):
            self.report.add(record, what)
        self.report.entries += bundle.entries
        self.report.payloads += bundle.payloads
        self.gone += bundle.emptied
        self.emptied += bundle.emptied
        for sequence in range(start + 1, start + width + 1) if self.tombstones.leaves else ():
            if self.tombstones.leaves.get(sequence) == [leaves[sequence - start - 1]]:
                del self.tombstones.leaves[sequence]
        for s in [s for s in self.by_size if start < s <= start + width]:
            part = self.tree.copy()
            for leaf in leaves[: s - start]:
                part.append(leaf)
            self.roots[s] = part.root()
        grow(self.tree, leaves, bundle.root)
        grow(self.by_entries, bundle.found or leaves, bundle.found_root)
        if bundle.root:
            self._climb(bundle.root)

    def _follow(self, bundle: Bundle) -> None:
        """What entries say of others, each in its turn."""
        for document in bundle.told:
            try:
                self.tombstones.follow(document)
                if document["kind"] == "log.key_rotated":
                    self._rotated(bundle, document)
                elif document["kind"] == "record.accepted":
                    self._accepted(document, bundle)
                else:
                    self.decisions.follow(document, bundle)
            except (*DAMAGE, CannotVerify) as error:
                bundle.add(document["seq"], f"does not say what such an entry says ({said(error)})")

    def _accepted(self, document: dict[str, Any], bundle: Bundle) -> None:
        """Which checkpoints were left behind; where that is not in the export, any of their sizes."""
        data, listed = document["data"], None
        reference = document["payloads"].get("given_up")
        if reference is not None and self.export.has_payloads and bundle.entries:
            _, content = bundle.contents.get(reference["digest"], ("", b""))
            listed = set(content.decode().splitlines())
        self.given_up.append((int(data["after"]), int(data["kept_size"]), listed))

    def _judge_missing(self, bundle: Bundle) -> None:
        for record, name, document in bundle.missing:
            gone = self.tombstones.took_payload(document["seq"], name, document)
            if gone == "left out":
                self.left_out += 1
            elif gone:
                self.gone += 1
            else:
                bundle.add(document["seq"], "is not there, or not with these bytes", record)

    def _climb(self, root: bytes) -> None:
        """Compute the tiles above, and compare each that is full."""
        for level, above in enumerate(self.levels, 1):
            above.append(root)
            if len(above) < WIDTH:
                return
            self._compare_tile(level, self.tree.size // WIDTH ** (level + 1) - 1, above)
            root = perfect_root(above)
            above.clear()

    def _compare_tile(self, level: int, number: int, hashes: list[bytes]) -> None:
        name = tile_path(f"tile/{level}/{numbered(number)}", len(hashes))
        stored = self.export.hashes(name, len(hashes))
        if stored is None:
            self.report.add(name, "is missing or cut")
        elif stored != hashes:
            places = [i for i, (a, b) in enumerate(zip(stored, hashes, strict=True)) if a != b]
            below = (number * WIDTH + places[0]) * WIDTH**level
            what = f"does not fit the hashes below it, from entry {below + 1} on"
            self.report.add(name, what)

    def _rotated(self, bundle: Bundle, document: dict[str, Any]) -> None:
        """A new key counts where one that is trusted has signed for it."""
        data = document["data"]
        new, old = parse_key(data["key"]), parse_key(data["previous"])
        message = f"authz log key\n{data['previous']}\n{data['key']}\n".encode()
        signature = base64.b64decode(data["signature"])
        if not is_signature(old.public, signature, message):
            bundle.add(document["seq"], "the old key has not signed for the new one")
            return
        if old.text in [key.text for key in self.keys]:
            self.keys.append(new)
        self.former.append(old)

    def _judge_root(self) -> None:
        head = self.head
        if self.tree.root() != head.root:
            if self.by_entries.root() == head.root:
                self.report.add("tile/0", "the entries are those of the checkpoint, its tiles are not")
            else:
                what = "the tree over the entries is not the one that the checkpoint was signed for"
                self.report.add("checkpoint", what)
        self.report.key = self._signed_by(head)

    def _signed_by(self, note: Kept) -> str:
        """The key that signed, "" and a finding when none that is known did."""
        key, wrong = note.signed_by(self.keys)
        if wrong:
            self.report.add(note.source, wrong)
        return key

    def _judge_kept(self, note: Kept) -> None:
        self.report.checkpoints += 1
        if not self._signed_by(note):
            return
        root = EMPTY_ROOT if note.size == 0 else self.roots.get(note.size)
        if root == note.root and note.origin == self.head.origin:
            return
        name = f"{note.size} {note.root.hex()}"
        if any(
            after < note.size <= last and (listed is None or name in listed)
            for after, last, listed in self.given_up
        ):
            self.report.notes.append(f"{note.source} (size {note.size}) was given up; an entry says why")
        elif root is None:
            what = f"the log had {note.size} entries then and has {self.head.size} now: its end is missing"
            self.report.add(note.source, what)
        else:
            what = f"the first {note.size} entries are not those that were signed then: the log was rewritten"
            self.report.add(note.source, what)
