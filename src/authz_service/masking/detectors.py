"""Builds a scanner of the entity types that we know and of operators' own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import re2

from authz_service.errors import Misconfigured
from authz_service.masking.catalogue import CATALOGUE, detectors_of
from authz_service.masking.options import Options
from authz_service.masking.pattern_detector import PatternDetector
from authz_service.masking.scanner import DetectorScanner
from authz_service.masking.seams import Scanner
from authz_service.masking.steps import Detector
from authz_service.masking.terms import Terms

_TOGETHER = 4
"""Operators' patterns that are searched for together."""


def builtin_names() -> frozenset[str]:
    """The entity types that need no configuration."""
    return frozenset(CATALOGUE)


def build_scanner(
    entities: Iterable[str] | None = None,
    custom: Sequence[tuple[str, str]] = (),
    options: Mapping[str, Options] | None = None,
) -> Scanner:
    """A scanner for these built-in entity types (all, when None) and for operators' (name, pattern).

    `options` are those of built-in and own entity types, by name. Raises `Misconfigured` with a line for
    each unknown type, each name of ours that is taken again, each pattern that `check_pattern` refuses,
    and each type whose options leave nothing to be found.
    """
    given = options or {}
    wanted = builtin_names() if entities is None else frozenset(entities)
    faults = [f"{name}: no such entity type" for name in sorted(wanted - builtin_names())]
    detectors: list[Detector] = []
    try:
        detectors += detectors_of(wanted & builtin_names(), given)
    except Misconfigured as fault:
        faults.append(str(fault))
    for index, (name, pattern) in enumerate(custom):
        try:
            terms = given.get(name, Options()).terms(1.0, ()) or Terms()
            family = f"own {index // _TOGETHER}"
            detectors.append(PatternDetector(_checked_name(name), pattern, family=family, terms=terms))
        except Misconfigured as fault:
            faults.append(f"{name}: {fault}")
    if faults:
        raise Misconfigured("\n".join(faults), code="bad_detectors")
    try:
        return DetectorScanner(detectors).with_base64() if detectors else DetectorScanner([])
    except re2.error as cause:
        message = "the patterns are too large to be searched for together"
        raise Misconfigured(message, code="bad_detectors") from cause


def _checked_name(name: str) -> str:
    """A name goes into placeholders, within JSON strings too, and is a field of rules' conditions."""
    if name in CATALOGUE:
        raise Misconfigured("the name of a built-in entity type")
    if not (name.isascii() and name.isidentifier()):
        raise Misconfigured("a name has letters, digits and underscores, and begins with no digit")
    return name
