"""Runs the cases of `authz policy test` through the gateway's own reading, detectors and rules."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from authz_service.config.cases import REFUSED, Case
from authz_service.config.read import Loaded
from authz_service.errors import Unavailable, Unreadable
from authz_service.identity.embedded import EMBEDDED_ISSUER
from authz_service.inspection.request import inspect_request
from authz_service.inspection.results import RequestInspection
from authz_service.masking.seams import Scanner
from authz_service.model_apis.registry import OPENAI_CHAT
from authz_service.policy.decision import AnswerFacts, Decision, RequestFacts
from authz_service.runtime.rules import request_scanner_of, scanner_of
from authz_service.view.caller import Caller
from authz_service.view.unread import require_permitted


@dataclass(frozen=True, slots=True)
class CaseResult:
    """What came out of a case; `problems` is empty when it is what was expected.

    `findings` are those of what was judged: of the answer where the case has one.
    """

    name: str
    effect: str
    rule: str
    reason: str
    findings: Mapping[str, int]
    errors: Mapping[str, str]
    problems: tuple[str, ...]

    def as_line(self) -> str:
        """The result for a terminal, with what went wrong below it."""
        verdict = "FAIL" if self.problems else "ok"
        by = f" by {self.rule}" if self.rule else ""
        failures = [f"the rule {rule} failed: {error}" for rule, error in self.errors.items()]
        details = [f"      {text}" for text in (*self.problems, *failures)]
        return "\n".join([f"{verdict:<4}  {self.name}: {self.effect}{by}", *details])

    def as_json(self) -> dict[str, object]:
        """The result for a script."""
        return {
            "name": self.name,
            "ok": not self.problems,
            "effect": self.effect,
            "rule": self.rule,
            "reason": self.reason,
            "findings": dict(self.findings),
            "errors": dict(self.errors),
            "problems": list(self.problems),
        }


def run_cases(loaded: Loaded, cases: Sequence[Case], *, now: float) -> list[CaseResult]:
    """Judge every case; `now` (seconds since the epoch) is the time of those that name none."""
    scanner = scanner_of(loaded.config)
    request_scanner = request_scanner_of(loaded.config, scanner)
    return [_run(loaded, scanner, request_scanner, case, now) for case in cases]


def _run(loaded: Loaded, scanner: Scanner, request_scanner: Scanner, case: Case, now: float) -> CaseResult:
    moment = now if case.at is None else case.at
    caller = _caller(loaded, case, moment)
    try:
        read = _inspect(loaded, request_scanner, case)
        view = replace(read.view, unread=(*read.view.unread, *case.unread))
        if case.answer is None:
            found: Mapping[str, int] = read.findings
            decision = loaded.policy.decide_request(RequestFacts(caller, view, found, moment))
            require_permitted(view.unread, decision.permits)
        else:
            found = Counter(finding.entity for finding in scanner.scan(case.answer))
            facts = AnswerFacts(caller, view, read.findings, found, moment)
            decision = loaded.policy.decide_answer(facts)
    except (Unreadable, Unavailable) as error:
        return _result(case, REFUSED, "", f"{error} ({error.code})", {}, {})
    errors = {outcome.rule: outcome.error for outcome in decision.outcomes if outcome.error is not None}
    return _result(case, _word(decision), decision.rule, decision.reason, found, errors)


def _caller(loaded: Loaded, case: Case, moment: float) -> Caller:
    first_issuer = next(iter(loaded.config.issuer_urls), EMBEDDED_ISSUER)
    return Caller(
        issuer=case.caller.issuer or first_issuer,
        subject=case.caller.subject,
        expires_at=moment + 3600,
        groups=case.caller.groups,
        groups_complete=case.caller.groups_complete,
        person=case.caller.person,
        claims=case.caller.claims,
    )


def _inspect(loaded: Loaded, scanner: Scanner, case: Case) -> RequestInspection:
    config = loaded.config
    body = {
        "model": config.models[0].name,
        "messages": [{"role": "user", "content": "Good morning."}],
        **case.request,
    }
    return inspect_request(
        json.dumps(body).encode(),
        api=OPENAI_CHAT,
        operation=OPENAI_CHAT.operations[0],
        scanner=scanner,
        masked_entities=frozenset(e for mask in config.masks if mask.in_requests for e in mask.entities),
        models={name: model.name for model in config.models for name in (model.name, *model.aliases)},
        noise=config.holds.noise,
        max_depth=config.limits.depth,
    )


def _word(decision: Decision) -> str:
    return decision.effect.name.lower()


def _result(
    case: Case,
    effect: str,
    rule: str,
    reason: str,
    findings: Mapping[str, int],
    errors: Mapping[str, str],
) -> CaseResult:
    wanted = case.expected
    found = {name: count for name, count in sorted(findings.items()) if count}
    problems = []
    if effect != wanted.effect:
        problems.append(f"expected {wanted.effect}, came out as {effect}: {reason or 'no reason'}")
    if wanted.rule is not None and rule != wanted.rule:
        problems.append(f"expected the rule {wanted.rule!r}, decided by {rule!r}")
    expected_found = {name: count for name, count in (wanted.findings or {}).items() if count}
    if wanted.findings is not None and found != expected_found:
        problems.append(f"expected to find {expected_found or 'nothing'}, found {found or 'nothing'}")
    return CaseResult(case.name, effect, rule, reason, found, errors, tuple(problems))
