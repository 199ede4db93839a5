"""The sections `masks` and `detectors` of the configuration as values."""

from __future__ import annotations

from dataclasses import dataclass

from authz_service.masking.options import Options
from authz_service.masking.placeholders import Place


@dataclass(frozen=True, slots=True)
class Mask:
    """Entity types that are replaced in requests, answers or both: with type, partial, hash or drop.

    Or, in requests, with a placeholder for each value, which is restored in some places of the answer.
    """

    name: str
    entities: tuple[str, ...]
    in_requests: bool
    in_answers: bool
    operator: str = "type"
    restore: tuple[Place, ...] = ()


@dataclass(frozen=True, slots=True)
class CustomDetector:
    """An operator's own entity type and its RE2 pattern."""

    name: str
    pattern: str


@dataclass(frozen=True, slots=True)
class PresidioDetector:
    """One of Presidio's entity types, found in requests by its recognisers for a language, from a score on.

    `model` is a model of spaCy, or "none": then there are no names, and recognisers have patterns only.
    """

    name: str
    language: str
    model: str
    threshold: float


@dataclass(frozen=True, slots=True)
class DetectorOptions:
    """On which terms an entity type is found, where the operator says so."""

    name: str
    options: Options
