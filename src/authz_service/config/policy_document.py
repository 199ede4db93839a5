"""What a policy's digest is taken over."""

from __future__ import annotations

from typing import Any

from authz_service.config.masking_values import PresidioDetector
from authz_service.config.model import Config, Review
from authz_service.core.holds import Stage
from authz_service.core.limits import Limit
from authz_service.core.stage_terms import terms
from authz_service.masking.options import Options
from authz_service.policy.compiled import RuleSet
from authz_service.policy.rules import Rule


def policy_document(config: Config, requests: RuleSet[Any], answers: RuleSet[Any]) -> dict[str, object]:
    """Everything in a file that changes what is decided, masked or asked for."""
    return {
        "requests": _rule_set(requests),
        "answers": _rule_set(answers),
        "paths": [[path.method, path.path, path.when, path.model] for path in config.paths],
        "masks": [
            [
                mask.name,
                list(mask.entities),
                mask.in_requests,
                mask.in_answers,
                mask.operator,
                *(place.value for place in mask.restore),
            ]
            for mask in config.masks
        ],
        "detectors": [[detector.name, detector.pattern] for detector in config.detectors],
        "detector_options": [[given.name, *_options(given.options)] for given in config.detector_options],
        **({"presidio": [_presidio(found) for found in config.presidio]} if config.presidio else {}),
        "approvals": {
            approval.name: {
                "snapshot": approval.snapshot,
                "stages": [_stage(stage) for stage in approval.stages],
            }
            for approval in config.approvals
        },
        "review": _review(config.review),
        "noise": [list(path) for path in config.holds.noise],
        **({"limits": [_limit(limit) for limit in config.limits.rates]} if config.limits.rates else {}),
    }


def _limit(limit: Limit) -> list[object]:
    rates = limit.rates
    numbers = (rates.requests_per_minute, rates.tokens_per_minute, rates.tokens_per_day, rates.concurrent)
    stored = [] if rates.recorded_bytes_per_day is None else [{"bytes": rates.recorded_bytes_per_day}]
    held = [] if rates.open_holds is None else [{"holds": rates.open_holds}]
    models = [{"models": sorted(limit.models)}] if limit.models else []
    name = [limit.name] if limit.name else []
    return [limit.by.value, *name, sorted(limit.only), *numbers, *stored, *held, *models]


def _review(review: Review) -> list[object]:
    """Without what the file leaves out, so that a file has the digest that it had before there was more."""
    default = Review()
    originals = [] if review.originals == default.originals else [review.originals]
    alone = [] if review.break_glass == default.break_glass else [{"break_glass": review.break_glass}]
    officers = review.record_officers
    record = [] if officers == default.record_officers else [{"record_officers": officers}]
    concealed = [[sorted(found.entities), found.unless] for found in review.conceal]
    conceal = [{"conceal": concealed}] if concealed else []
    return [review.reviewers, review.auditors, review.operators, *originals, *alone, *record, *conceal]


def _stage(stage: Stage) -> list[object]:
    more = terms(stage)
    return [stage.reviewers, stage.votes, int(stage.within), *([more] if more else [])]


def _presidio(detector: PresidioDetector) -> list[object]:
    return [detector.name, detector.language, detector.model, f"{detector.threshold:g}"]


def _options(options: Options) -> list[object]:
    allowed = [list(options.allow), list(options.allow_patterns)]
    return [f"{options.threshold:g}", list(options.context), options.within, *allowed]


def _rule_set(rule_set: RuleSet[Any]) -> dict[str, object]:
    return {"default": rule_set.default.name, "rules": [_rule(rule) for rule in rule_set.rules]}


def _rule(rule: Rule) -> dict[str, object]:
    return {
        "name": rule.name,
        "when": rule.condition.text,
        "effect": rule.effect.name,
        "approval": rule.approval,
        "reason": rule.reason,
        "shadow": rule.shadow,
        **({"permits": sorted(rule.permits)} if rule.permits else {}),
    }
