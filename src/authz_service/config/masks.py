"""Detectors and masks: what is a sensitive value, and what becomes of it."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection

from authz_service.config import scalars
from authz_service.config.faults import with_caret
from authz_service.config.masking_values import CustomDetector, DetectorOptions, Mask, PresidioDetector
from authz_service.config.section import Refused, Section, described, shortened
from authz_service.config.tree import Node, Scalar
from authz_service.errors import Misconfigured
from authz_service.masking.options import Options
from authz_service.masking.placeholders import Place
from authz_service.masking.syntax import PatternError
from authz_service.masking.terms import FARTHEST, check_allowed_pattern

PatternCheck = Callable[[str], None]
"""Raises `PatternError` when a pattern cannot be a detector."""

OptionsCheck = Callable[[str, Options], None]
"""Raises `Misconfigured` when a built-in entity type cannot be found with these options."""

_MOST_WORDS = 100

_LANGUAGE = "en"
_MODEL = "en_core_web_lg"

_OPERATORS = {name: name for name in ("type", "partial", "hash", "drop", "placeholder")}

_PLACES = {place.value: place for place in Place}


def read_detectors(
    root: Section, builtin: Collection[str], check: PatternCheck, check_options: OptionsCheck
) -> tuple[tuple[CustomDetector, ...], tuple[DetectorOptions, ...], tuple[PresidioDetector, ...]]:
    """`detectors`: entity types of the operator's own, options of these and of built-in ones, Presidio's."""
    detectors: list[CustomDetector] = []
    presidio: list[PresidioDetector] = []
    options: list[DetectorOptions] = []
    seen: set[str] = set()
    for section in root.sections("detectors"):
        name = section.required("name", _entity, "")
        if name in seen:
            section.refuse_value("name", f"there is a detector called {name} already")
        seen.add(name)
        is_builtin = name in builtin
        if is_builtin and section.has("pattern"):
            section.refuse_value("name", f"there is a detector called {name} already, built in")
        if section.has("presidio") and not is_builtin:
            presidio.append(_read_presidio(section, name))
            continue
        given = _read_options(section, is_builtin=is_builtin)
        pattern = section.optional("pattern", _pattern(check), "")
        if not is_builtin and not section.has("pattern"):
            section.refuse(section.node.place, f"pattern is missing ({_hint(name, builtin)})")
        section.close()
        if is_builtin:
            _check(section, name, given, check_options)
        elif pattern:
            detectors.append(CustomDetector(name, pattern))
        if given != Options():
            options.append(DetectorOptions(name, given))
    return tuple(detectors), tuple(options), tuple(presidio)


def _read_presidio(section: Section, name: str) -> PresidioDetector:
    """An entity type that Presidio finds; it knows none of our options but a threshold."""
    for key in ("pattern", "context", "within", "allow", "allow_patterns"):
        if section.has(key):
            section.refuse_value(key, f"is for detectors of ours; Presidio finds {name} in its own way")
            section.optional(key, lambda _: None, None)
    threshold = section.optional("threshold", _share, Options().threshold)
    inner = section.section_or_empty("presidio")
    language = inner.optional("language", _language, _LANGUAGE)
    if language == _LANGUAGE:
        model = inner.optional("model", _model, _MODEL)
    else:
        model = inner.required("model", _model, _MODEL)
    inner.close()
    section.close()
    return PresidioDetector(name, language, model, threshold)


_language = scalars.word(r"[a-z]{2}", "a language of two letters, as in en")
_model = scalars.word(r"[a-z][a-z0-9_]{0,99}", "a model of spaCy, as in en_core_web_lg, or none")


WHOLE_ONLY = "is found by Presidio, which reads whole texts only, and answers come in pieces"

_entity = scalars.word(r"[A-Z][A-Z0-9_]{0,63}", "an entity type in capitals, as in EMPLOYEE_ID")


def _read_options(section: Section, *, is_builtin: bool) -> Options:
    usual = Options()
    if section.has("threshold") and not is_builtin:
        section.refuse_value(
            "threshold", "a pattern of your own has no score; threshold is for built-in types"
        )
    threshold = section.optional("threshold", _share, usual.threshold)
    context = section.optional("context", scalars.list_of(_word), ())
    if len(context) > _MOST_WORDS:
        section.refuse_value("context", f"has more than {_MOST_WORDS} words")
    if section.has("within") and not context:
        section.refuse_value("within", "says how far context may be; there is none")
    within = section.optional("within", scalars.whole_number(1, FARTHEST), usual.within)
    allow = section.optional("allow", scalars.list_of(scalars.line), ())
    patterns = section.optional("allow_patterns", scalars.list_of(_allowed_pattern), ())
    return Options(threshold, context, within, allow, patterns)


def _check(section: Section, name: str, options: Options, check: OptionsCheck) -> None:
    if options == Options():
        if not section.has("pattern"):
            section.refuse(section.node.place, f"{name} is built in, and nothing is changed about it")
        return
    try:
        check(name, options)
    except Misconfigured as error:
        section.refuse(section.node.place, str(error))


def _share(node: Node) -> float:
    """A number from 0.01 to 1."""
    try:
        value = float(node.text) if isinstance(node, Scalar) and node.kind == "number" else 0.0
    except ValueError:
        value = 0.0
    if not 0.01 <= value <= 1:
        raise Refused(f"must be a number from 0.01 to 1, {described(node)}")
    return value


def _word(node: Node) -> str:
    value = scalars.line(node)
    if value != value.strip() or not value[0].isalnum() or not value[-1].isalnum():
        raise Refused(f"must begin and end with a letter or digit, found {shortened(value)}")
    return value


def _allowed_pattern(node: Node) -> str:
    value = scalars.line(node)
    try:
        check_allowed_pattern(value)
    except Misconfigured as error:
        raise Refused(str(error)) from error
    return value


def _pattern(check: PatternCheck) -> Callable[[Node], str]:
    def read(node: Node) -> str:
        value = scalars.line(node)
        try:
            check(value)
        except PatternError as error:
            raise Refused(str(error), excerpt=with_caret(value, error.position + 1)) from error
        return value

    return read


def _hint(name: str, builtin: Collection[str]) -> str:
    close = difflib.get_close_matches(name, builtin, n=1)
    return f"did you mean {close[0]}, which is built in?" if close else f"{name} is not built in"


def read_masks(
    root: Section, entities: Collection[str], whole_only: Collection[str] = ()
) -> tuple[Mask, ...]:
    """`masks`: which entity types never cross, in which direction; those of `whole_only` in requests only."""
    masks: list[Mask] = []
    known = known_entity(entities)
    places = scalars.list_of(scalars.one_of({"requests": "requests", "answers": "answers"}))
    for section in root.sections("masks"):
        name = section.required("name", scalars.name, "")
        if name and name in [mask.name for mask in masks]:
            section.refuse_value("name", f"there is a mask called {name!r} already")
        where = section.required("in", places, ())
        types = section.required("entities", scalars.list_of(known), ())
        operator = section.optional("with", scalars.one_of(_OPERATORS), "type")
        restore = _restore(section, operator, where)
        mask = Mask(name, types, "requests" in where, "answers" in where, operator, restore)
        for other in masks:
            _refuse_both(section, mask, other)
        for entity in types if mask.in_answers else ():
            if entity in whole_only:
                section.refuse_value("in", f"{entity} {WHOLE_ONLY}: name it in a mask in: [requests]")
        section.close()
        masks.append(mask)
    return tuple(masks)


def _restore(section: Section, operator: str, where: Collection[str]) -> tuple[Place, ...]:
    """Where an answer gets the values back that placeholders stood for; nowhere for other operators."""
    is_reversible = operator == "placeholder"
    if section.has("restore") and not is_reversible:
        section.refuse_value("restore", "only what is masked with: placeholder can be restored")
    if is_reversible and "answers" in where:
        message = (
            "a placeholder stands for a value of the request; mask answers in a mask of their own, with "
            "another operator, which looks at them before values are restored"
        )
        section.refuse_value("in", message)
    usual = (Place.TEXT,) if is_reversible else ()
    return section.optional("restore", scalars.list_of(scalars.one_of(_PLACES)), usual)


def _refuse_both(section: Section, mask: Mask, other: Mask) -> None:
    """One value cannot become two things."""
    together = (mask.in_requests and other.in_requests) or (mask.in_answers and other.in_answers)
    if together and (mask.operator, {*mask.restore}) != (other.operator, {*other.restore}):
        how = ", ".join((other.operator, *(f"restored in {place}" for place in other.restore)))
        for entity in mask.entities:
            if entity in other.entities:
                section.refuse_value("entities", f"{other.name!r} masks {entity} already, with {how}")


def known_entity(entities: Collection[str]) -> Callable[[Node], str]:
    """A reader of the name of an entity type that some detector finds."""

    def read(node: Node) -> str:
        value = scalars.line(node)
        if value not in entities:
            close = difflib.get_close_matches(value, entities, n=1)
            hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(sorted(entities))}"
            raise Refused(f"no detector finds {shortened(value)}; {hint}")
        return value

    return read
