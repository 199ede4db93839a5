"""All entity types that we know, named as Presidio names them where it does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, assert_never

from authz_service.errors import Misconfigured
from authz_service.masking.credentials import CREDENTIALS
from authz_service.masking.entity_type import TOKENS, EntityType, Number, Pattern, Region
from authz_service.masking.national_numbers import NATIONAL_NUMBERS
from authz_service.masking.network import NETWORK
from authz_service.masking.number_detector import NumberDetector, Numbers
from authz_service.masking.options import Options
from authz_service.masking.pattern_detector import PatternDetector
from authz_service.masking.personal_data import PERSONAL_DATA
from authz_service.masking.region_detector import RegionDetector
from authz_service.masking.steps import Detector

CATALOGUE: Final[Mapping[str, EntityType]] = {
    kind.name: kind
    for kind in sorted(
        (*PERSONAL_DATA, *NATIONAL_NUMBERS, *NETWORK, *CREDENTIALS), key=lambda kind: kind.name
    )
}


def is_always_found(name: str) -> bool:
    """Whether a built-in entity type takes no options."""
    return any(isinstance(shape, Region) for shape in CATALOGUE[name].shapes)


def check_options(name: str, options: Options) -> None:
    """Whether a built-in entity type can be found on these terms; raises `Misconfigured`."""
    kind = CATALOGUE[name]
    if is_always_found(name) and options != Options():
        message = f"{name} goes out before its end is known, so it is always found and takes no options"
        raise Misconfigured(message, code="bad_detectors")
    if all(options.terms(shape.score, kind.context) is None for shape in kind.shapes):
        best = max(shape.score for shape in kind.shapes)
        message = f"no match of {name} reaches {options.threshold:g}: alone it has {best:g}"
        raise Misconfigured(message, code="bad_detectors")


def detectors_of(names: Iterable[str], options: Mapping[str, Options]) -> list[Detector]:
    """Detectors for these entity types, on the terms that `options` has for them."""
    detectors: list[Detector] = []
    numbers: list[Numbers] = []
    for name in sorted(names):
        kind, on = CATALOGUE[name], options.get(name, Options())
        check_options(name, on)
        for shape in kind.shapes:
            terms = on.terms(shape.score, kind.context)
            if terms is None:
                continue
            match shape:
                case Pattern(pattern, validator, _, sign, family):
                    loose = family == TOKENS
                    detectors.append(
                        PatternDetector(
                            name, pattern, validator, sign=sign, family=family, is_loose=loose, terms=terms
                        )
                    )
                case Number(digits, is_valid):
                    numbers.append(Numbers(name, digits, is_valid, terms))
                case Region(opening, closing):
                    detectors.append(RegionDetector(name, opening=opening, closing=closing, family=TOKENS))
                case _:
                    assert_never(shape)
    return [*detectors, NumberDetector(numbers)] if numbers else detectors
