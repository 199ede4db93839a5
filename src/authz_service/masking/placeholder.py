"""What stands in the place of a finding."""

from __future__ import annotations

from authz_service.masking.finding import Finding


def placeholder(finding: Finding) -> str:
    """`[TYPE]`; in quotes where a number or literal of a JSON document stood."""
    return f'"[{finding.entity}]"' if finding.bare else f"[{finding.entity}]"
