"""What is found of somebody before their erasure is ordered: their names, and whether anything is in its way.

Whoever has asked often has much on record, and there may be many holds that wait, and grants in force. It is
looked at outside of the writer's transaction, which asks only for what is new since.
"""

from __future__ import annotations

from dataclasses import dataclass

from authz_service.audit.forgotten import Forgotten
from authz_service.store.erased_names import Names, names_of
from authz_service.store.erasing_kept import KeptLook, last_of
from authz_service.store.erasing_open import has_spoken, refuse_open
from authz_service.store.sealing import Pseudonym
from authz_service.store.transaction import Reader


@dataclass(frozen=True, slots=True)
class Look:
    """`names` are those up to the entry `at`; what stands in the way is looked at again by `read_on`."""

    subject: str
    pseudonym: Pseudonym
    names: Names
    at: int
    kept: KeptLook

    @property
    def subjects(self) -> frozenset[str]:
        """All pseudonyms of the person."""
        return self.kept.subjects

    def read_on(self, reader: Reader) -> int:
        """How many entries were new; raises `Conflict` while some of it is kept or in use."""
        refuse_open(reader, self.pseudonym, self.subjects)
        return self.kept.read_on(reader)

    def is_fresh(self, reader: Reader) -> bool:
        """Whether they have no other name since, said nothing, and few entries came; raises as `names_of`."""
        names = names_of(reader, self.pseudonym, self.subject, known=self.names, after=self.at)
        if names != self.names or not self.kept.is_fresh(reader):
            return False
        return not has_spoken(reader, self.pseudonym, self.subjects, since=self.kept.last)

    def require_free(self, reader: Reader) -> None:
        """As `read_on`, of what came since."""
        refuse_open(reader, self.pseudonym, self.subjects, since=self.kept.last)
        self.kept.require_free(reader)


def look(
    reader: Reader,
    pseudonym: Pseudonym,
    subject: str,
    known: Forgotten,
    also: frozenset[str] = frozenset(),
) -> Look:
    """Their names, and whether nothing is in the way; `known` is what entries said of retention before.

    `also` are pseudonyms of theirs that an order of before had.
    """
    names = names_of(reader, pseudonym, subject)
    names.others |= also - {subject}
    kept = KeptLook(frozenset({subject, *names.others}), known)
    found = Look(subject, pseudonym, names, last_of(reader), kept)
    found.read_on(reader)
    return found
