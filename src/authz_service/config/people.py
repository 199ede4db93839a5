"""Who may review."""

from __future__ import annotations

from authz_service.config import scalars
from authz_service.config.conditions import ConditionReader
from authz_service.config.model import Identity, Review
from authz_service.config.section import Section
from authz_service.policy.conditions import Condition, Phase


def read_review(
    root: Section, conditions: ConditionReader, identity: Identity
) -> tuple[Review, Condition | None, Condition | None]:
    """`review`, with the compiled conditions for reviewers and auditors (None for a faulty one)."""
    section = root.section_or_empty("review")
    default = Review()
    audience = section.optional("audience", scalars.line, default.audience)
    reviewers = conditions.optional(section, "reviewers", Phase.PEOPLE, default.reviewers)
    auditors = conditions.optional(section, "auditors", Phase.PEOPLE, default.auditors)
    if audience in {issuer.audience for issuer in identity.issuers}:
        # An agent that holds its user's gateway token must not be able to vote.
        section.refuse_value("audience", "must differ from every issuer's audience: tokens have one use")
    section.close()
    review = Review(
        audience,
        reviewers.text if reviewers is not None else default.reviewers,
        auditors.text if auditors is not None else default.auditors,
    )
    return review, reviewers, auditors
