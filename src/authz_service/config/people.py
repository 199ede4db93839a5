"""Who may review."""

from __future__ import annotations

from typing import Final

from authz_service.config import scalars
from authz_service.config.conditions import ConditionReader
from authz_service.config.model import Identity, Review
from authz_service.config.roles import RoleConditions
from authz_service.config.section import Section
from authz_service.policy.conditions import Phase

NOBODY: Final = Review().originals


def read_review(
    root: Section, conditions: ConditionReader, identity: Identity
) -> tuple[Review, RoleConditions | None]:
    """`review`, with its compiled conditions (None when one is faulty).

    With several issuers there are no operators unless the file names them: whose group, it must say.
    """
    section = root.section_or_empty("review")
    default = Review()
    audience = section.optional("audience", scalars.line, default.audience)
    reviewers = conditions.optional(section, "reviewers", Phase.PEOPLE, default.reviewers)
    auditors = conditions.optional(section, "auditors", Phase.PEOPLE, default.auditors)
    anybody = NOBODY if conditions.has_several_issuers else default.operators
    operators = conditions.optional(section, "operators", Phase.PEOPLE, anybody)
    originals = conditions.optional(section, "originals", Phase.PEOPLE, default.originals)
    break_glass = conditions.optional(section, "break_glass", Phase.PEOPLE, default.break_glass)
    officers = conditions.optional(section, "record_officers", Phase.PEOPLE, default.record_officers)
    if audience in identity.audiences:
        # An agent that holds its user's gateway token must not be able to vote.
        section.refuse_value("audience", "must differ from every issuer's audience: tokens have one use")
    section.close()
    found = (reviewers, auditors, operators, originals, break_glass, officers)
    sound = [condition for condition in found if condition is not None]
    if len(sound) < len(found):
        return Review(audience), None
    return Review(audience, *(condition.text for condition in sound)), RoleConditions(*sound)
