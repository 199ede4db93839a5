"""Checks the conditions of authz.yaml and bundles them by phase."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, assert_never

from cel_expr_python import cel

from authz_service.cel.analysis import Analysis
from authz_service.cel.checked import CheckedTree, TooComplex
from authz_service.cel.evaluation import CelCondition, CelConditions
from authz_service.cel.facts import answer_facts, path_facts, person_facts, request_facts, stage_facts
from authz_service.cel.faults import ABSENT, UNSUITABLE, compile_faults
from authz_service.cel.schema import VARIABLES, schema
from authz_service.policy.conditions import (
    Answer,
    BadCondition,
    Condition,
    Conditions,
    Failed,
    PathFacts,
    Phase,
    StageFacts,
    TextFault,
)
from authz_service.policy.decision import AnswerFacts, RequestFacts
from authz_service.view.caller import Caller
from authz_service.view.request import RequestView, Role, TextField

LONGEST_CONDITION: Final = 4096
"""Characters of one condition."""

_BOOL: Final = cel.Type.BOOL


class CelCompiler:
    """The `Compiler` of a file with these entity types, whose issuers take groups from these claims.

    `group_claims` are top-level names of claims: a condition that reads one of them reads groups.
    """

    def __init__(
        self, entities: frozenset[str], group_claims: frozenset[str] = frozenset({"groups"})
    ) -> None:
        self._schema = schema(entities)
        self._group_claims = group_claims

    def check(self, phase: Phase, text: str) -> Condition:
        """A condition that is a boolean over what `phase` knows; raises `BadCondition`."""
        if len(text) > LONGEST_CONDITION:
            raise BadCondition([TextFault(1, 1, f"longer than {LONGEST_CONDITION} characters")])
        environment = self._schema.environments[phase]
        try:
            expression = environment.compile(text)
        except Exception as error:
            raise BadCondition(compile_faults(str(error), self._schema.fields)) from error
        if expression.return_type() != _BOOL:
            kind = str(expression.return_type()).lower()
            raise BadCondition([TextFault(1, 1, f"a condition is true or false, this one gives {kind}")])
        condition = CelCondition(text, self._analyse(phase, text, expression), expression)
        self._dry_run(phase, condition)
        return condition

    def requests(self, conditions: Sequence[Condition]) -> Conditions[RequestFacts]:
        """Bundle conditions that `check` gave for REQUESTS."""
        build = request_facts(self._schema, _reads(conditions))
        return CelConditions(self._schema.environments[Phase.REQUESTS], conditions, build)

    def answers(self, conditions: Sequence[Condition]) -> Conditions[AnswerFacts]:
        """Bundle conditions that `check` gave for ANSWERS."""
        build = answer_facts(self._schema, _reads(conditions))
        return CelConditions(self._schema.environments[Phase.ANSWERS], conditions, build)

    def paths(self, conditions: Sequence[Condition]) -> Conditions[PathFacts]:
        """Bundle conditions that `check` gave for PATHS."""
        build = path_facts(self._schema, _reads(conditions))
        return CelConditions(self._schema.environments[Phase.PATHS], conditions, build)

    def people(self, conditions: Sequence[Condition]) -> Conditions[Caller]:
        """Bundle conditions that `check` gave for PEOPLE."""
        build = person_facts(self._schema, _reads(conditions))
        return CelConditions(self._schema.environments[Phase.PEOPLE], conditions, build)

    def stages(self, conditions: Sequence[Condition]) -> Conditions[StageFacts]:
        """Bundle conditions that `check` gave for STAGES."""
        build = stage_facts(self._schema, _reads(conditions))
        return CelConditions(self._schema.environments[Phase.STAGES], conditions, build)

    def _analyse(self, phase: Phase, text: str, expression: Any) -> frozenset[str]:
        environment = self._schema.environments[phase]

        def problem(compiled: Any) -> str | None:
            try:
                result = compiled.eval(data={})
            except Exception as error:
                return compile_faults(str(error))[0].message
            if result.type() == cel.Type.ERROR:
                return compile_faults(str(result.value()))[0].message
            return None

        try:
            analysis = Analysis(
                CheckedTree(expression.serialize()), text, frozenset(VARIABLES[phase]), self._group_claims
            )
            analysis.run(
                lambda constant: problem(environment.compile(constant)),
                lambda part: problem(environment.deserialize(part)),
            )
        except (TooComplex, RecursionError) as error:
            raise BadCondition([TextFault(1, 1, "nested too deeply; split it into several rules")]) from error
        if analysis.faults:
            raise BadCondition(analysis.faults)
        return frozenset(analysis.reads)

    def _dry_run(self, phase: Phase, condition: Condition) -> None:
        """Evaluate on plain samples: what fails there for more than a missing claim would deny too much."""
        for caller, request in ((_CALLER, _REQUEST), (_BARE_CALLER, _BARE_REQUEST)):
            answer = self._sample(phase, condition, caller, request)
            if isinstance(answer, Failed) and answer not in (ABSENT, UNSUITABLE):
                raise BadCondition([TextFault(1, 1, f"on a plain request {answer.error}")])

    def _sample(self, phase: Phase, condition: Condition, caller: Caller, request: RequestView) -> Answer:
        match phase:
            case Phase.REQUESTS:
                return self.requests([condition]).evaluate(RequestFacts(caller, request, {}, _NOW))[0]
            case Phase.ANSWERS:
                return self.answers([condition]).evaluate(AnswerFacts(caller, request, {}, {}, _NOW))[0]
            case Phase.PATHS:
                return self.paths([condition]).evaluate(PathFacts(caller, "GET", "/path", _NOW))[0]
            case Phase.PEOPLE:
                return self.people([condition]).evaluate(caller)[0]
            case Phase.STAGES:
                facts = StageFacts(caller, caller, request.api, request.operation, request.model, "rule", {})
                return self.stages([condition]).evaluate(facts)[0]
            case _ as never:
                assert_never(never)


def _reads(conditions: Sequence[Condition]) -> frozenset[str]:
    return frozenset().union(*(condition.reads for condition in conditions))


_NOW: Final = 1_767_225_600.0
_CALLER: Final = Caller("https://issuer.example", "someone", _NOW + 600, ("group",), person="someone")
_BARE_CALLER: Final = Caller("https://issuer.example", "someone", _NOW + 600)
_BARE_REQUEST: Final = RequestView("api", "operation", "model", stream=True, texts=())
_REQUEST: Final = RequestView(
    api="api",
    operation="operation",
    model="model",
    stream=False,
    texts=tuple(TextField((role.value,), role.value, role, new_turn=role is Role.USER) for role in Role),
    tools=("tool",),
    parameters={},
    token_estimate=10,
)
