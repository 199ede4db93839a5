"""Cases for `authz policy test`: what is asked by whom, and what the rules must decide."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from authz_service.config import scalars
from authz_service.config.faults import BadConfiguration, Report
from authz_service.config.section import Refused, Section, as_section, described
from authz_service.config.tree import Entries, Items, Node, Scalar, read_tree
from authz_service.view.unread import PERMITTABLE, Kind, Unread

REFUSED: Final = "refused"
"""What is expected of a request that cannot be read."""

_EFFECTS: Final = {effect: effect for effect in ("allow", "hold", "deny", REFUSED)}
_GROUP: Final = scalars.line
_KINDS: Final = {kind.value: kind for kind in sorted(PERMITTABLE)}
_LARGEST: Final = 1024**3


@dataclass(frozen=True, slots=True)
class CaseCaller:
    """Who asks. No `issuer` means the first one of the configuration."""

    subject: str
    issuer: str | None
    groups: tuple[str, ...]
    groups_complete: bool
    person: str | None
    claims: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Expected:
    """What must come out; None is not looked at. `findings` must be exactly these."""

    effect: str
    rule: str | None
    findings: Mapping[str, int] | None


@dataclass(frozen=True, slots=True)
class Case:
    """One case. With `answer`, the answer to the request is judged, otherwise the request.

    `request` is a whole body of the OpenAI chat API, or what completes to one: without `model` the
    first of the configuration, without `messages` a greeting. `at` is in seconds since the epoch.
    `unread` are values that it is to carry beside, told by kind, type and size.
    """

    name: str
    caller: CaseCaller
    request: Mapping[str, object]
    answer: str | None
    at: float | None
    expected: Expected
    unread: tuple[Unread, ...] = ()


def read_cases(text: str, *, source: Path) -> tuple[Case, ...]:
    """All cases of a file; raises `BadConfiguration` with every fault and its line."""
    report = Report()
    tree = read_tree(text, report)
    cases: list[Case] = []
    if tree is not None:
        try:
            root = as_section(tree, "", report)
        except Refused as refused:
            report.add(tree.place, f"the file {refused.message}")
        else:
            cases = [_read_case(section) for section in root.sections("cases", at_least_one=True)]
            root.close()
    if report.faults:
        raise BadConfiguration(str(source), report.faults)
    return tuple(cases)


def _read_case(section: Section) -> Case:
    name = section.required("name", scalars.line, "")
    caller = _read_caller(section)
    request = _read_request(section)
    answer = section.optional("answer", scalars.text, None)
    at = section.optional("at", _moment, None)
    unread = tuple(_read_unread(item, i) for i, item in enumerate(section.sections("unread")))
    expected = _read_expected(section)
    section.close()
    return Case(name, caller, request, answer, at, expected, unread)


def _read_caller(case: Section) -> CaseCaller:
    section = case.section_or_empty("caller")
    if not case.has("caller"):
        case.refuse(case.node.place, "caller is missing")
    caller = CaseCaller(
        subject=section.optional("subject", scalars.line, "someone"),
        issuer=section.optional("issuer", scalars.line, None),
        groups=section.optional("groups", _groups, ()),
        groups_complete=section.optional("groups_complete", scalars.boolean, True),
        person=section.optional("person", scalars.line, None),
        claims=section.optional("claims", _object, {}),
    )
    section.close()
    return caller


def _groups(node: Node) -> tuple[str, ...]:
    if isinstance(node, Items) and not node.items:
        return ()
    return scalars.list_of(_GROUP)(node)


def _read_request(case: Section) -> dict[str, object]:
    request = dict(case.optional("request", _object, {}))
    prompt = case.optional("prompt", scalars.text, None)
    model = case.optional("model", scalars.line, None)
    for key, short, value in (
        ("messages", "prompt", prompt and [{"role": "user", "content": prompt}]),
        ("model", "model", model),
    ):
        if value is not None and key in request:
            case.refuse(case.place(short), f"the request has {key} already", key=short)
        elif value is not None:
            request[key] = value
    return request


def _read_expected(case: Section) -> Expected:
    if not case.has("expect"):
        case.refuse(case.node.place, "expect is missing")
        return Expected("", None, None)
    section = case.section_or_empty("expect")
    expected = Expected(
        effect=section.required("effect", scalars.one_of(_EFFECTS), ""),
        rule=section.optional("rule", scalars.line, None),
        findings=section.optional("findings", _counts, None),
    )
    section.close()
    return expected


def _read_unread(section: Section, number: int) -> Unread:
    kind = section.required("kind", scalars.one_of(_KINDS), Kind.MALFORMED)
    unread = Unread(
        kind=kind,
        path=("unread", number),
        place=f"unread[{number}]",
        size=section.optional("size", scalars.size(1, _LARGEST), 1),
        sha256="",
        type=section.optional("type", scalars.line, ""),
        declared=section.optional("declared", scalars.line, ""),
        scheme=section.optional("scheme", scalars.line, ""),
        message=f"unread[{number}]: no rule that matches permits all that this {kind.value} is.",
    )
    section.close()
    return unread


def _counts(node: Node) -> dict[str, int]:
    if not isinstance(node, Entries):
        raise Refused(f"must be a mapping of entity types to counts, {described(node)}")
    return {name: scalars.whole_number(0, 1_000_000)(value) for name, (_, value) in node.entries.items()}


def _moment(node: Node) -> float:
    value = scalars.line(node)
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise Refused(f"must be a moment such as 2026-01-31T22:30:00Z, {described(node)}") from None
    if moment.tzinfo is None:
        raise Refused("must name its time zone, as in 2026-01-31T22:30:00Z")
    return moment.timestamp()


def _object(node: Node) -> dict[str, object]:
    value = _json(node)
    if not isinstance(value, dict):
        raise Refused(f"must be a mapping, {described(node)}")
    return value


def _json(node: Node) -> object:
    match node:
        case Entries():
            return {key: _json(value) for key, (_, value) in node.entries.items()}
        case Items():
            return [_json(item) for item in node.items]
        case Scalar(kind="empty"):
            return None
        case Scalar(kind="boolean"):
            return node.text.lower() == "true"
        case Scalar(kind="number"):
            return _number(node)
        case Scalar():
            return node.text


def _number(node: Scalar) -> int | float:
    try:
        value = json.loads(node.text)
    except ValueError:
        value = None
    if not isinstance(value, int | float):
        raise Refused(f"must be a number as JSON writes it, {described(node)}", place=node.place)
    return value
