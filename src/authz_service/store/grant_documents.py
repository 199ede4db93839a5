"""What a grant permits and whom it is for, as documents in columns, and back."""

from __future__ import annotations

import hashlib
import json
from typing import Any, assert_never

from authz_service.core.grants import Beneficiary, OneCaller, OneGroup, Terms
from authz_service.store.column_texts import seconds
from authz_service.store.hold_documents import approvals_document, read_approvals
from authz_service.store.zone_rules import zones_of


def terms_text(terms: Terms) -> str:
    """Terms as JSON, in the one form that their digest is of."""
    match terms.beneficiary:
        case OneCaller(identity):
            of = {"caller": list(identity)}
        case OneGroup(issuer, name):
            of = {"group": [issuer, name]}
        case _ as never:
            assert_never(never)
    document = {
        "for": of,
        "api": terms.api,
        "operation": terms.operation,
        "model": terms.model,
        "rules": list(terms.rules),
        "tools": list(terms.tools),
        "unread": list(terms.unread),
        "template": terms.template,
        "approvals": approvals_document(terms.approvals),
        "uses": terms.uses,
        "until": terms.until,
    }
    if terms.unchanged:
        document["unchanged"] = dict(terms.unchanged)
    return json.dumps(document, sort_keys=True)


def read_terms(text: str) -> Terms:
    """The inverse."""
    found = json.loads(text)
    return Terms(
        beneficiary=_read_beneficiary(found["for"]),
        api=found["api"],
        operation=found["operation"],
        model=found["model"],
        rules=tuple(found["rules"]),
        tools=tuple(found["tools"]),
        unread=tuple(found["unread"]),
        template=found["template"],
        approvals=read_approvals(found["approvals"]),
        uses=found["uses"],
        until=found["until"],
        unchanged=tuple(sorted(found.get("unchanged", {}).items())),
    )


def _read_beneficiary(of: Any) -> Beneficiary:
    if "caller" in of:
        issuer, subject = of["caller"]
        return OneCaller((issuer, subject))
    issuer, name = of["group"]
    return OneGroup(issuer, name)


def digest_of(text: str) -> str:
    """What votes name terms by."""
    return hashlib.sha256(text.encode()).hexdigest()


def beneficiary_text(beneficiary: Beneficiary) -> str:
    """Whom a grant is for, as one column; ASCII JSON, so that no two share it."""
    match beneficiary:
        case OneCaller((issuer, subject)):
            return json.dumps(["caller", issuer, subject])
        case OneGroup(issuer, name):
            return json.dumps(["group", issuer, name])
        case _ as never:
            assert_never(never)


def detail_of(terms: Terms, now: int) -> str:
    """The column `detail` of a grant that is proposed at `now`: its terms, and its zones' rules."""
    detail: dict[str, Any] = {"terms": terms_text(terms)}
    zones = zones_of(terms.approvals, seconds(now))
    return json.dumps(detail | ({"zones": zones} if zones else {}))
