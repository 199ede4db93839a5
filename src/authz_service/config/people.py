"""Who may review, and what is concealed from whom of them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from authz_service.config import scalars
from authz_service.config.conditions import ConditionReader
from authz_service.config.identity_values import Identity
from authz_service.config.masks import known_entity
from authz_service.config.model import Conceal, Review
from authz_service.config.roles import RoleConditions
from authz_service.config.section import Section
from authz_service.policy.conditions import Condition, Phase

NOBODY: Final = Review().originals


def read_review(
    root: Section, conditions: ConditionReader, identity: Identity, entities: Collection[str]
) -> tuple[Review, RoleConditions | None]:
    """`review`, with its compiled conditions (None when one is faulty). `entities` are those that are found.

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
    conceal = _read_conceal(section, conditions, entities)
    if audience in identity.audiences:
        # An agent that holds its user's gateway token must not be able to vote.
        section.refuse_value("audience", "must differ from every issuer's audience: tokens have one use")
    section.close()
    found = (reviewers, auditors, operators, originals, break_glass, officers)
    sound = [condition for condition in found if condition is not None]
    exempt = tuple((unless, frozenset(types)) for unless, types in conceal if unless is not None)
    if len(sound) < len(found) or len(exempt) < len(conceal):
        return Review(audience), None
    concealed = tuple(Conceal(types, "" if unless is None else unless.text) for unless, types in conceal)
    review = Review(audience, *(condition.text for condition in sound), conceal=concealed)
    return review, RoleConditions(*sound, conceal=exempt)


def _read_conceal(
    review: Section, conditions: ConditionReader, entities: Collection[str]
) -> list[tuple[Condition | None, tuple[str, ...]]]:
    """`review.conceal`: entity types, each with whom they are shown to (None when that is faulty)."""
    concealed: list[tuple[Condition | None, tuple[str, ...]]] = []
    for section in review.sections("conceal"):
        types = section.required("entities", scalars.list_of(known_entity(entities)), ())
        unless = conditions.optional(section, "unless", Phase.PEOPLE, Conceal(()).unless)
        section.close()
        concealed.append((unless, types))
    return concealed
