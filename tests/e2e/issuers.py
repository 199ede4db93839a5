"""The configuration of a gateway whose callers come from issuers of their own, not from the embedded one."""

from __future__ import annotations

from collections.abc import Sequence

from tests.e2e.stack import CONFIG

EMBEDDED = "urn:authz:embedded"


def config_with(issuers: Sequence[str], settings: str) -> str:
    """`CONFIG` for callers of these issuers, all with the same `settings` (in YAML's flow style).

    Reviewers are still the embedded issuer's.
    """
    listed = ", ".join(f'{{url: "{issuer}", {settings}}}' for issuer in issuers)
    identity = f"{{embedded: true, embedded_votes: true, issuers: [{listed}]}}".replace("{", "{{")
    text = CONFIG.replace("{{embedded: true}}", identity.replace("}", "}}"))
    named = " || ".join(f"caller.issuer == '{issuer}'" for issuer in issuers)
    text = text.replace("' in caller.groups", f"' in caller.groups && ({named})")
    return text.replace("' in person.groups", f"' in person.groups && person.issuer == '{EMBEDDED}'")
