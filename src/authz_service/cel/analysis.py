"""What a checked expression reads, and which parts of it can be known to be wrong before it ever runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from authz_service.cel.checked import CheckedTree, bound_names, children, constant_string, free_names, walk
from authz_service.policy.conditions import TextFault

Probe = Callable[[str], str | None]
"""Evaluates a constant expression; what is wrong with it, or None."""

_PARTS_OF_TIME: Final = (
    "Date DayOfMonth DayOfWeek DayOfYear FullYear Hours Milliseconds Minutes Month Seconds"
)
TIME_ZONE_FUNCTIONS: Final = frozenset(f"get{part}" for part in _PARTS_OF_TIME.split())
DEPTH: Final = {"findings": 2, "caller": 2, "person": 2, "request": 2, "call": 2, "answer": 3, "now": 1}
"""How many names, the variable included, say what is read: `findings.JWT`, `answer.findings.JWT`."""


@dataclass(slots=True)
class Analysis:
    """What was learnt from one expression. `text` is needed for lines and columns only."""

    tree: CheckedTree
    text: str
    variables: frozenset[str]
    group_claims: frozenset[str]
    reads: set[str] = field(default_factory=set)
    faults: list[TextFault] = field(default_factory=list)

    def run(self, probe: Probe, evaluate: Callable[[bytes], str | None]) -> None:
        """Fill `reads` and `faults`. `evaluate` does for a serialized part what `probe` does for text."""
        self._visit(self.tree.root)
        names = self.variables.union(*(bound_names(node) for node in walk(self.tree.root)))
        for node in reversed(list(walk(self.tree.root))):  # the innermost fault is named, not what it spoils
            self._refuse_shadowing(node)
            if node.WhichOneof("kind") == "struct_expr" and node.struct_expr.message_name:
                self._fault(node, "messages cannot be built in a condition")
            if node.WhichOneof("kind") == "call_expr" and not self._check_call(node, probe):
                self._check_constant(node, names, evaluate)
        self.faults.sort(key=lambda fault: (fault.line, fault.column))

    def _visit(self, node: Any) -> None:
        chain = self._chain(node)
        if chain is not None:
            self._record(node, chain)
            return
        for child in children(node):
            self._visit(child)

    def _chain(self, node: Any) -> tuple[str, ...] | None:
        """The names from a variable to a node, as in `caller.claims['dept']`; None for other nodes."""
        match node.WhichOneof("kind"):
            case "ident_expr":
                name = node.ident_expr.name
                return (name,) if name in self.variables else None
            case "select_expr":
                before = self._chain(node.select_expr.operand)
                return None if before is None else (*before, node.select_expr.field)
            case "call_expr" if node.call_expr.function == "_[_]":
                key = constant_string(node.call_expr.args[1])
                before = self._chain(node.call_expr.args[0])
                return None if before is None or key is None else (*before, key)
            case _:
                return None

    def _record(self, node: Any, chain: tuple[str, ...]) -> None:
        depth = DEPTH[chain[0]]
        if len(chain) < depth:
            # Handed on whole, it could be read through another name, and nobody would know what is read.
            self._fault(node, f"name a field of '{'.'.join(chain)}'; it cannot be used as a whole")
            return
        self.reads.add(".".join(chain[:depth]))
        if chain[1:2] != ("claims",):
            return
        self.reads.add(f"{chain[0]}.claims.{chain[2] if len(chain) > 2 else '*'}")
        if len(chain) == 2 or chain[2] in self.group_claims:
            self.reads.add(f"{chain[0]}.groups")

    def _refuse_shadowing(self, node: Any) -> None:
        for name in bound_names(node) & self.variables:
            self._fault(node, f"'{name}' is a variable already; give the loop's variable another name")

    def _check_call(self, node: Any, probe: Probe) -> bool:
        """Check a call that has a check of its own; whether it has."""
        call = node.call_expr
        arguments = [call.target, *call.args] if call.HasField("target") else list(call.args)
        if call.function == "dyn":
            self._fault(node, "dyn() switches the type check off")
        elif call.function == "matches" and len(arguments) == 2:
            self._check_pattern(arguments[1], probe)
        elif call.function in TIME_ZONE_FUNCTIONS and len(arguments) == 2:
            self._check_time_zone(arguments[1], call.function, probe)
        else:
            return False
        return True

    def _check_constant(
        self, node: Any, names: frozenset[str], evaluate: Callable[[bytes], str | None]
    ) -> None:
        """A part without variables has one value, even behind an `&&` that no test run ever passes."""
        if free_names(node) & names:
            return
        problem = evaluate(self.tree.only(node))
        if problem is not None and not any(fault.message == problem for fault in self.faults):
            self._fault(node, problem)

    def _check_pattern(self, pattern: Any, probe: Probe) -> None:
        literal = constant_string(pattern)
        if literal is None:
            # A pattern out of a request or a token would let the caller write the rule.
            self._fault(pattern, "the pattern of matches() must be a string literal")
        else:
            self._report(pattern, probe(f"''.matches({_quoted(literal)})"))

    def _check_time_zone(self, zone: Any, function: str, probe: Probe) -> None:
        literal = constant_string(zone)
        if literal is None:
            self._fault(zone, "the time zone must be a string literal")
        else:
            self._report(
                zone, probe(f"timestamp('2026-01-01T00:00:00Z').{function}({_quoted(literal)}) >= 0")
            )

    def _report(self, node: Any, problem: str | None) -> None:
        if problem is not None:
            self._fault(node, problem)

    def _fault(self, node: Any, message: str) -> None:
        before = self.text[: self.tree.offset(node)]
        line = before.count("\n") + 1
        column = len(before) - (before.rfind("\n") + 1) + 1
        fault = TextFault(line, column, message)
        if fault not in self.faults:
            self.faults.append(fault)


def _quoted(text: str) -> str:
    """A CEL string literal; its escapes include those of JSON."""
    return json.dumps(text, ensure_ascii=False)
