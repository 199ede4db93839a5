"""Why a session was decided as it was: each rule of the policy of that time, and the values that it read.

What the rules said is read from the record. It is then computed again from what is still on record, which
is the request after masking, with the findings that were counted and without the claims of the token: where
the two differ, that is said, and the record is what happened.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson

from authz_service.cel.facts import PERSON, REQUEST
from authz_service.cel.load import surroundings
from authz_service.config.faults import BadConfiguration
from authz_service.config.read import Loaded, read_config
from authz_service.errors import AuthzError, NotFound
from authz_service.inspection.request import inspect_request
from authz_service.model_apis.registry import find_operation
from authz_service.policy.conditions import Condition
from authz_service.policy.decision import AnswerFacts, Decision, RequestFacts
from authz_service.policy.rules import Rule
from authz_service.runtime.rules import scanner_of
from authz_service.view.caller import Caller
from authz_service.view.request import RequestView

LONGEST_VALUE = 80
"""Characters of a value that are shown; of what people wrote, only how long it is."""

Facts = RequestFacts | AnswerFacts

_TEXTS = frozenset(name for name in REQUEST if name.endswith("_text") or name == "new_turn")


@dataclass(frozen=True, slots=True)
class Recorded:
    """What the record has of one decision. `at` in seconds since the epoch.

    `asked` are the findings of the request, for a decision about its answer; None for one about a request.
    `grant` is the one under which what was to be held went through.
    """

    at: float
    data: Mapping[str, Any]
    caller: Mapping[str, Any] | None
    method: str
    path: str
    body: bytes | None
    asked: Mapping[str, Any] | None = None
    grant: str = ""


@dataclass(frozen=True, slots=True)
class ExplainedRule:
    """A rule's part: what the record says of it, and what it comes to now."""

    name: str
    effect: str
    condition: str
    outcome: str
    now: str
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Explained:
    """One decision about a request, or its answer. `notes` say what could not be computed again, and why."""

    effect: str
    rule: str
    policy: str
    rules: Sequence[ExplainedRule] = ()
    now: str = ""
    notes: Sequence[str] = ()
    about: str = "request"
    grant: str = ""
    """The grant that let it through, where one did."""

    def as_json(self) -> dict[str, object]:
        """For scripts."""
        rules = [
            {
                "name": rule.name,
                "effect": rule.effect,
                "condition": rule.condition,
                "outcome": rule.outcome,
                "now": rule.now,
                "values": dict(rule.values),
            }
            for rule in self.rules
        ]
        return {
            "about": self.about,
            "effect": self.effect,
            "rule": self.rule,
            "policy": self.policy,
            "now": self.now,
            "rules": rules,
            "notes": list(self.notes),
            "grant": self.grant or None,
        }

    def lines(self) -> Iterator[str]:
        """For people; texts of others are not made safe yet."""
        yield f"the {self.about}: {self.effect} by rule {self.rule}, policy {self.policy}"
        if self.grant:
            yield f"let through under grant {self.grant}, without asking anybody; see: authz grant show"
        if self.now:
            yield f"computed again from the record: {self.now}"
        for note in self.notes:
            yield f"note: {note}"
        for rule in self.rules:
            again = "" if rule.now in ("", rule.outcome) else f" (computed again: {rule.now})"
            yield f"  {rule.outcome:<10} {rule.name} ({rule.effect}): {rule.condition}{again}"
            for name, value in rule.values.items():
                yield f"             {name} = {value}"


def explain(recorded: Recorded, file: bytes | None) -> Explained:
    """The decision by the rules of `file`, the configuration of its time; None when it is not kept."""
    about = "request" if recorded.asked is None else "answer"
    return replace(_explain(recorded, file), about=about, grant=recorded.grant)


def _explain(recorded: Recorded, file: bytes | None) -> Explained:
    data = recorded.data
    known = (str(data.get("effect", "none")), str(data.get("rule", "-")), str(data.get("policy", "-")))
    if file is None:
        note = "the configuration of that time is not on record any more: the rules' conditions are not known"
        return Explained(*known, rules=_named(data), notes=[note])
    try:
        loaded = read_config(file.decode(), source=Path("authz.yaml"), surroundings=surroundings())
    except (BadConfiguration, UnicodeDecodeError):
        note = "this program cannot read the configuration of that time"
        return Explained(*known, rules=_named(data), notes=[note])
    rule_set = _rules(recorded, loaded)
    facts, notes = _facts(recorded, loaded, rule_set)
    decision = None if facts is None else _decide(facts, loaded)
    if loaded.digest != known[2]:
        notes = [
            *notes,
            "this program makes another digest of that configuration: its rules mean something else",
        ]
    rules = [_explained(rule, data, facts, decision) for rule in rule_set]
    now = "" if decision is None else f"{decision.effect.name.lower()} by rule {decision.rule}"
    if now and (decision is None or now != f"{known[0]} by rule {known[1]}"):
        notes = [
            *notes,
            "that differs: what the rules saw is not all on record, or this program is another one",
        ]
    return Explained(*known, rules=rules, now=now, notes=notes)


def _rules(recorded: Recorded, loaded: Loaded) -> Sequence[Rule]:
    policy = loaded.policy
    return policy.request_rules.rules if recorded.asked is None else policy.answer_rules.rules


def _decide(facts: Facts, loaded: Loaded) -> Decision:
    if isinstance(facts, AnswerFacts):
        return loaded.policy.decide_answer(facts)
    return loaded.policy.decide_request(facts)


def _named(data: Mapping[str, Any]) -> list[ExplainedRule]:
    """The rules that the entry names; of the others nothing is known."""
    words = (("rules", "matched"), ("shadow", "shadow"), ("errors", "failed"))
    return [ExplainedRule(str(name), "-", "-", word, "") for key, word in words for name in data.get(key, ())]


def _facts(recorded: Recorded, loaded: Loaded, rules: Sequence[Rule]) -> tuple[Facts | None, list[str]]:
    if recorded.caller is None:
        return None, ["who asked is not on record any more, so nothing can be computed again"]
    caller = Caller(
        issuer=str(recorded.caller.get("issuer", "")),
        subject=str(recorded.caller.get("subject", "")),
        expires_at=recorded.at,
        groups=tuple(recorded.caller.get("groups", ())),
        groups_complete=bool(recorded.caller.get("groups_complete", True)),
        person=recorded.caller.get("person"),
    )
    if recorded.body is None:
        return None, ["the request is not on record any more, so nothing can be computed again"]
    notes = ["the request on record is the one after masking; the findings are those that were counted"]
    reads = frozenset().union(*(rule.condition.reads for rule in rules))
    if "caller.claims" in reads:
        notes.append("claims of tokens are not on record: conditions that read them see none")
    try:
        view = _view(recorded, loaded)
    except AuthzError as error:
        return None, [f"the request on record cannot be read again: {error.code}"]
    found = _counts(recorded.data.get("findings", {}))
    if recorded.asked is None:
        return RequestFacts(caller, view, found, recorded.at), notes
    return AnswerFacts(caller, view, _counts(recorded.asked), found, recorded.at), notes


def _counts(findings: Mapping[str, Any]) -> dict[str, int]:
    return {str(name): int(count) for name, count in findings.items()}


def _view(recorded: Recorded, loaded: Loaded) -> RequestView:
    config = loaded.config
    route = find_operation(recorded.method, recorded.path)
    if route is None:
        raise NotFound("no adapter reads this path", code="unknown_path")
    api, operation = route
    return inspect_request(
        recorded.body or b"",
        api=api,
        operation=operation,
        scanner=scanner_of(config),
        masked_entities=frozenset(),
        models={name: model.name for model in config.models for name in (model.name, *model.aliases)},
        noise=config.holds.noise,
        max_depth=config.limits.depth,
    ).view


def _explained(
    rule: Rule, data: Mapping[str, Any], facts: Facts | None, decision: Decision | None
) -> ExplainedRule:
    outcome = "no match"
    for key, word in (("rules", "matched"), ("shadow", "shadow"), ("errors", "failed")):
        if rule.name in data.get(key, ()):
            outcome = word
    now = ""
    for again in decision.outcomes if decision is not None else ():
        if again.rule == rule.name:
            matched = "shadow" if rule.shadow else "matched"
            now = f"failed: {again.error}" if again.error else matched if again.matched else "no match"
    text = " ".join(rule.condition.text.split())
    values = {} if facts is None else _values(rule.condition, facts)
    return ExplainedRule(rule.name, rule.effect.name.lower(), text, outcome, now, values)


def _values(condition: Condition, facts: Facts) -> dict[str, str]:
    found = {}
    for name in sorted(condition.reads):
        variable, _, member = name.partition(".")
        if variable == "findings":
            found[f"{name}.count"] = str(facts.findings.get(member, 0))
        elif variable == "answer" and isinstance(facts, AnswerFacts):
            found[f"{name}.count"] = str(facts.answer_findings.get(member.removeprefix("findings."), 0))
        elif variable == "caller" and member in PERSON:
            found[name] = "not on record" if member == "claims" else _shown(PERSON[member](facts.caller))
        elif variable == "request" and member in _TEXTS:
            found[name] = f"{len(str(REQUEST[member](facts.request)))} characters"
        elif variable == "request" and member in REQUEST:
            found[name] = _shown(REQUEST[member](facts.request))
        elif variable == "now":
            found[name] = "the time of the entry"
    return found


def _shown(value: object) -> str:
    text = orjson.dumps(value, default=str).decode()
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}..."
