"""Reads conditions: compiled where they stand, with faults pointed at in the file's own lines."""

from __future__ import annotations

from dataclasses import dataclass

from authz_service.config import scalars
from authz_service.config.faults import Place, with_caret
from authz_service.config.masks import WHOLE_ONLY
from authz_service.config.section import Section
from authz_service.policy.conditions import BadCondition, Compiler, Condition, Phase, TextFault
from authz_service.policy.rules import lacks_issuer


@dataclass(frozen=True, slots=True)
class ConditionReader:
    """Compiles the conditions of one file. `lines` are the file's, for finding columns in them.

    With several issuers a condition that reads groups has to read the issuer too. Entity types of
    `whole_only` are never found in an answer, so a condition that asks for them there is refused.
    """

    compiler: Compiler
    lines: tuple[str, ...]
    has_several_issuers: bool
    whole_only: frozenset[str] = frozenset()

    def required(self, section: Section, key: str, phase: Phase) -> Condition | None:
        """The condition under a key; None when it is missing or faulty, which is reported."""
        text = section.required(key, scalars.text, None)
        return None if text is None else self._compiled(section, key, phase, text)

    def optional(self, section: Section, key: str, phase: Phase, default: str) -> Condition | None:
        """The condition under a key that may be left out; None when it is faulty."""
        text = section.optional(key, scalars.text, default)
        return self._compiled(section, key, phase, text)

    def _compiled(self, section: Section, key: str, phase: Phase, text: str) -> Condition | None:
        start = section.place(key)
        try:
            condition = self.compiler.check(phase, text)
        except BadCondition as bad:
            for fault in bad.faults:
                place, excerpt = self._pointed(start, text, fault)
                section.refuse(place, fault.message, key=key, excerpt=excerpt)
            return None
        if self.has_several_issuers and lacks_issuer(condition):
            section.refuse_value(key, "with more than one issuer, say whose groups: compare the issuer too")
            return None
        unknown = [name for name in sorted(self.whole_only) if f"answer.findings.{name}" in condition.reads]
        if unknown:
            section.refuse_value(key, f"{unknown[0]} {WHOLE_ONLY}")
            return None
        return condition

    def _pointed(self, start: Place, text: str, fault: TextFault) -> tuple[Place, str]:
        """Where a fault of an expression is in the file, and its line with a caret.

        YAML may have folded or unescaped the text; where its line is not found as it is, the fault is
        at the start of the value.
        """
        expression = (text.split("\n") + [""] * fault.line)[fault.line - 1]
        excerpt = with_caret(expression, min(fault.column, len(expression) + 1))
        needle = expression.strip()
        for number in range(start.line, min(start.line + text.count("\n") + 2, len(self.lines) + 1)):
            begin = start.column - 1 if number == start.line else 0
            found = self.lines[number - 1].find(needle, begin) if needle else -1
            if found >= 0:
                indent = len(expression) - len(expression.lstrip())
                return Place(number, found + 1 + max(0, fault.column - 1 - indent)), excerpt
        return start, excerpt
