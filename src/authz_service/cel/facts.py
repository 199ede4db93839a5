"""Builds what conditions look at, only the variables and fields that they read: texts can be megabytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, Generic, TypeVar

from authz_service.cel.schema import Schema
from authz_service.policy.conditions import PathFacts, StageFacts
from authz_service.policy.decision import AnswerFacts, RequestFacts
from authz_service.view.caller import Caller
from authz_service.view.request import RequestView, Role

T = TypeVar("T")

PERSON: Final[Mapping[str, Callable[[Caller], Any]]] = {
    "subject": lambda caller: caller.subject,
    "issuer": lambda caller: caller.issuer,
    "groups": lambda caller: caller.groups,
    "groups_complete": lambda caller: caller.groups_complete,
    "person": lambda caller: caller.person or "",
    "claims": lambda caller: dict(caller.claims),
}
REQUEST: Final[Mapping[str, Callable[[RequestView], Any]]] = {
    "api": lambda request: request.api,
    "operation": lambda request: request.operation,
    "model": lambda request: request.model,
    "stream": lambda request: request.stream,
    "tools": lambda request: request.tools,
    "token_estimate": lambda request: request.token_estimate,
    "choices": lambda request: request.choices,
    "parameters": lambda request: dict(request.parameters),
    "system_text": lambda request: request.text(Role.SYSTEM),
    "user_text": lambda request: request.text(Role.USER),
    "assistant_text": lambda request: request.text(Role.ASSISTANT),
    "tool_text": lambda request: request.text(Role.TOOL),
    "other_text": lambda request: request.text(Role.OTHER),
    "new_turn": lambda request: request.new_turn,
}
HELD: Final[Mapping[str, Callable[[StageFacts], Any]]] = {
    "api": lambda facts: facts.api,
    "operation": lambda facts: facts.operation,
    "model": lambda facts: facts.model,
    "rule": lambda facts: facts.rule,
}
CALL: Final[Mapping[str, Callable[[PathFacts], Any]]] = {
    "method": lambda facts: facts.method,
    "path": lambda facts: facts.path,
}


class Part(Generic[T]):
    """Builds one message from a value, with the fields that `reads` names below `variable`."""

    def __init__(
        self,
        message: Any,
        variable: str,
        getters: Mapping[str, Callable[[T], Any]],
        reads: frozenset[str],
    ) -> None:
        self._message = message
        self._getters = tuple((name, get) for name, get in getters.items() if f"{variable}.{name}" in reads)

    def __call__(self, value: T) -> Any:
        return self._message(**{name: get(value) for name, get in self._getters})


class FindingsPart:
    """Builds `findings`. A type that was not found stays unset, so that `has()` means found."""

    def __init__(self, schema: Schema, variable: str, reads: frozenset[str]) -> None:
        self._message = schema.messages["Findings"]
        self._found = schema.messages["Found"]
        self._nothing = self._message()
        prefix = f"{variable}."
        self._entities = tuple(name.removeprefix(prefix) for name in sorted(reads) if name.startswith(prefix))

    def __call__(self, counts: Mapping[str, int]) -> Any:
        if not counts:
            return self._nothing
        found = self._found
        present = {name: found(count=counts[name]) for name in self._entities if counts.get(name)}
        return self._message(**present)


def request_facts(schema: Schema, reads: frozenset[str]) -> Callable[[RequestFacts], dict[str, Any]]:
    """A function from the facts of a request to the variables of its conditions."""
    return _build(_judged(schema, reads), reads)


def answer_facts(schema: Schema, reads: frozenset[str]) -> Callable[[AnswerFacts], dict[str, Any]]:
    """The same for answers, which also know what was found in the answer so far."""
    found = FindingsPart(schema, "answer.findings", reads)
    message = schema.messages["Answer"]
    makers: dict[str, Callable[[AnswerFacts], Any]] = {
        **_judged(schema, reads),
        "answer": lambda facts: message(findings=found(facts.answer_findings)),
    }
    return _build(makers, reads)


def path_facts(schema: Schema, reads: frozenset[str]) -> Callable[[PathFacts], dict[str, Any]]:
    """The same for paths that pass unread."""
    caller = Part(schema.messages["Person"], "caller", PERSON, reads)
    makers: dict[str, Callable[[PathFacts], Any]] = {
        "caller": lambda facts: caller(facts.caller),
        "call": Part(schema.messages["Call"], "call", CALL, reads),
        "now": lambda facts: _timestamp(facts.now),
    }
    return _build(makers, reads)


def person_facts(schema: Schema, reads: frozenset[str]) -> Callable[[Caller], dict[str, Any]]:
    """The same for people who review."""
    return _build({"person": Part(schema.messages["Person"], "person", PERSON, reads)}, reads)


def stage_facts(schema: Schema, reads: frozenset[str]) -> Callable[[StageFacts], dict[str, Any]]:
    """The same for those who may vote on what is held."""
    person = Part(schema.messages["Person"], "person", PERSON, reads)
    caller = Part(schema.messages["Person"], "caller", PERSON, reads)
    findings = FindingsPart(schema, "findings", reads)
    makers: dict[str, Callable[[StageFacts], Any]] = {
        "person": lambda facts: person(facts.person),
        "caller": lambda facts: caller(facts.caller),
        "request": Part(schema.messages["Held"], "request", HELD, reads),
        "findings": lambda facts: findings(facts.findings),
    }
    return _build(makers, reads)


def _judged(schema: Schema, reads: frozenset[str]) -> dict[str, Callable[[RequestFacts | AnswerFacts], Any]]:
    """How to make what the conditions for requests and those for answers both know."""
    caller = Part(schema.messages["Person"], "caller", PERSON, reads)
    unread = schema.messages["Unread"]
    getters: dict[str, Callable[[RequestView], Any]] = {
        **REQUEST,
        "unread": lambda request: [unread(**value.summary()) for value in request.unread],
    }
    request = Part(schema.messages["Request"], "request", getters, reads)
    findings = FindingsPart(schema, "findings", reads)
    return {
        "caller": lambda facts: caller(facts.caller),
        "request": lambda facts: request(facts.request),
        "findings": lambda facts: findings(facts.findings),
        "now": lambda facts: _timestamp(facts.now),
    }


def _build(makers: Mapping[str, Callable[[T], Any]], reads: frozenset[str]) -> Callable[[T], dict[str, Any]]:
    """A function that makes the variables of which something is read."""
    variables = {name.partition(".")[0] for name in reads}
    made = tuple((name, make) for name, make in makers.items() if name in variables)
    return lambda facts: {name: make(facts) for name, make in made}


def _timestamp(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, tz=UTC)
