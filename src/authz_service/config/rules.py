"""Rules for requests and answers, and the paths that pass unread."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import Final

from authz_service.config import scalars
from authz_service.config.conditions import ConditionReader
from authz_service.config.faults import Place
from authz_service.config.gateway_values import Model
from authz_service.config.model import PathRule
from authz_service.config.section import Section, shortened
from authz_service.model_apis.unsupported import has_results
from authz_service.policy.conditions import Condition, Phase
from authz_service.policy.decision import Effect
from authz_service.policy.rules import DEFAULT, Rule
from authz_service.view.unread import PERMITTABLE

_EFFECTS: Final = {"allow": Effect.ALLOW, "hold": Effect.HOLD, "deny": Effect.DENY}
_FINAL_EFFECTS: Final = {"allow": Effect.ALLOW, "deny": Effect.DENY}
_KINDS: Final = {kind.value: kind for kind in sorted(PERMITTABLE)}
_METHODS: Final = {name: name for name in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")}
_OWN_PREFIX: Final = "/.well-known/authz"


def read_rules(
    root: Section,
    phase: Phase,
    conditions: ConditionReader,
    approvals: Collection[str],
) -> tuple[Effect, tuple[Rule, ...]]:
    """`requests` or `answers`: the default and the rules."""
    section = root.section_or_empty(phase.value)
    usual = Effect.DENY if phase is Phase.REQUESTS else Effect.ALLOW
    default = section.optional("default", scalars.one_of(_FINAL_EFFECTS), usual)
    rules: list[Rule] = []
    seen: dict[str, Place] = {}
    for item in section.sections("rules"):
        rule = _read_rule(item, phase, conditions, approvals)
        if rule is None:
            continue
        if rule.name in seen:
            before = seen[rule.name].line
            item.refuse_value("name", f"there is a rule called {rule.name!r} already, at line {before}")
        seen[rule.name] = item.place("name")
        rules.append(rule)
    section.close()
    return default, tuple(rules)


def _read_rule(
    section: Section, phase: Phase, conditions: ConditionReader, approvals: Collection[str]
) -> Rule | None:
    name = section.required("name", scalars.refused_unless(scalars.name, _not_reserved), None)
    condition = conditions.required(section, "when", phase)
    effect = section.required("effect", scalars.one_of(_EFFECTS), None)
    approval = section.optional("approval", scalars.name, None)
    if effect is Effect.HOLD and approval is None and not section.has("approval"):
        section.refuse(section.node.place, "a rule that holds names its approval")
    if effect is not None and effect is not Effect.HOLD and section.has("approval"):
        section.refuse_value("approval", "approval belongs to rules with effect: hold only")
    if effect is Effect.HOLD and approval is not None and approval not in approvals:
        section.refuse_value("approval", f"there is no approval called {approval!r} under approvals")
    reason = section.optional("reason", scalars.text, "")
    shadow = section.optional("shadow", scalars.boolean, False)
    permits = section.optional("permits", scalars.list_of(scalars.one_of(_KINDS)), ())
    if section.has("permits") and (effect is Effect.DENY or phase is not Phase.REQUESTS):
        section.refuse_value("permits", "permits belongs to rules for requests that allow or hold")
        permits = ()
    section.later("whole")
    section.close()
    if (
        name is None
        or condition is None
        or effect is None
        or (effect is Effect.HOLD) != (approval is not None)
    ):
        return None
    return Rule(name, condition, effect, approval, reason, shadow, frozenset(permits))


def _not_reserved(name: str) -> str | None:
    return (
        "the record calls it 'default' when no rule matched; choose another name" if name == DEFAULT else None
    )


def read_paths(
    root: Section, conditions: ConditionReader, models: tuple[Model, ...], owned: Collection[str]
) -> tuple[tuple[PathRule, ...], tuple[Condition, ...]]:
    """`paths`: what passes unread, and the conditions in the same order."""
    rules: list[PathRule] = []
    compiled: list[Condition] = []
    seen: set[tuple[str, str]] = set()
    names = {model.name for model in models}
    for section in root.sections("paths"):
        method = section.required("method", scalars.one_of(_METHODS), "")
        path = section.required("path", scalars.refused_unless(scalars.line, _path_problem(owned)), "")
        if path and (method, path) in seen:
            section.refuse_value("path", f"{method} {path} is listed already")
        seen.add((method, path))
        model = section.optional("model", scalars.line, None)
        if model is not None and model not in names:
            section.refuse_value("model", f"there is no model called {shortened(model)}")
        if not section.has("model") and len(models) > 1:
            section.refuse(section.node.place, "with more than one model, say which one this path leads to")
        condition = conditions.required(section, "when", Phase.PATHS)
        section.close()
        if condition is not None:
            rules.append(PathRule(method, path, condition.text, model or (models[0].name if models else "")))
            compiled.append(condition)
    return tuple(rules), tuple(compiled)


def _path_problem(owned: Collection[str]) -> Callable[[str], str | None]:
    def problem(path: str) -> str | None:
        segments = path.split("/")
        if not re.fullmatch(r"/[A-Za-z0-9/._~!$&'()+,=:@-]*", path) or {".", "..", ""} & {*segments[1:-1]}:
            return (
                f"must be an exact path without query, '%', ';', '*', '..' and '//', found {shortened(path)}"
            )
        if segments[-1] in (".", ".."):
            return f"must be an exact path, found {shortened(path)}"
        if path.rstrip("/").lower() in owned or path.lower().startswith(_OWN_PREFIX):
            return f"{path} is read and judged; it cannot pass unread"
        if has_results(path):
            return (
                f"{path} leads to what the model server keeps of its callers, and nobody here would see "
                "whose that is; it cannot pass unread"
            )
        return None

    return problem
