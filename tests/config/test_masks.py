"""What a file may say about detectors, and what it is told when it says it wrongly."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from authz_service.config.masking_values import PresidioDetector
from authz_service.config.read import Loaded
from authz_service.masking.options import Options
from authz_service.masking.placeholders import Place

_PERSON = "detectors: [{name: PERSON, presidio: {}}]\n"
_ONE_MASK = "{name: a, in: [answers], entities: [UK_NHS]}"
_TWO_MASKS = f"masks: [{_ONE_MASK}, {{name: b, in: [answers], entities: [UK_NHS], with: drop}}]"
_RESTORED_TWICE = (
    "masks: [{name: a, in: [requests], entities: [UK_NHS], with: placeholder}, "
    "{name: b, in: [requests], entities: [UK_NHS], with: placeholder, restore: [tool_arguments]}]"
)

Load = Callable[[str], Loaded]
Faults = Callable[[str], list[tuple[int, int, str]]]


def test_options_of_built_in_and_own_detectors_are_read(load: Load, smallest: str) -> None:
    config = load(
        smallest
        + """\
detectors:
  - {name: EMAIL_ADDRESS, allow: [info@example.com], allow_patterns: ['.*@example\\.org']}
  - {name: UK_NHS, threshold: 0.3}
  - {name: US_SSN, context: [ssn, social security], within: 30}
  - {name: EMPLOYEE_ID, pattern: 'E-\\d{6}', context: [employee]}
"""
    ).config
    assert [(detector.name, detector.pattern) for detector in config.detectors] == [
        ("EMPLOYEE_ID", r"E-\d{6}")
    ]
    assert {given.name: given.options for given in config.detector_options} == {
        "EMAIL_ADDRESS": Options(allow=("info@example.com",), allow_patterns=(r".*@example\.org",)),
        "UK_NHS": Options(threshold=0.3),
        "US_SSN": Options(context=("ssn", "social security"), within=30),
        "EMPLOYEE_ID": Options(context=("employee",)),
    }


def test_masks_have_an_operator(load: Load, smallest: str) -> None:
    masks = "masks:\n" + "".join(
        f"  - {{name: {name}, in: [answers], entities: [{entity}], with: {name}}}\n"
        for name, entity in {
            "type": "US_SSN",
            "partial": "UK_NHS",
            "hash": "IBAN_CODE",
            "drop": "CREDIT_CARD",
        }.items()
    )
    assert [mask.operator for mask in load(smallest + masks).config.masks] == [
        "type",
        "partial",
        "hash",
        "drop",
    ]
    other = masks.replace("with: partial", "with: drop")
    assert load(smallest + masks).digest != load(smallest + other).digest


def test_placeholders_are_restored_in_texts_unless_the_mask_says_where(load: Load, smallest: str) -> None:
    text = """\
masks:
  - {name: a, in: [requests], entities: [US_SSN], with: placeholder}
  - {name: b, in: [requests], entities: [UK_NHS], with: placeholder, restore: [tool_arguments, text]}
  - {name: c, in: [answers], entities: [US_SSN], with: drop}
"""
    loaded = load(smallest + text)
    places = [mask.restore for mask in loaded.config.masks]
    assert places == [(Place.TEXT,), (Place.TOOL_ARGUMENTS, Place.TEXT), ()]
    assert loaded.digest != load(smallest + text.replace("tool_arguments, text", "text")).digest


def test_masks_of_other_directions_may_do_other_things(load: Load, smallest: str) -> None:
    text = """\
masks:
  - {name: a, in: [requests], entities: [US_SSN], with: drop}
  - {name: b, in: [answers], entities: [US_SSN], with: hash}
  - {name: c, in: [answers], entities: [US_SSN, UK_NHS], with: hash}
"""
    assert len(load(smallest + text).config.masks) == 3


def test_options_are_part_of_what_the_policys_digest_covers(load: Load, smallest: str) -> None:
    texts = [
        "",
        "detectors: [{name: US_SSN, threshold: 0.6}]\n",
        "detectors: [{name: US_SSN, context: [ssn]}]\n",
        "detectors: [{name: US_SSN, context: [ssn], within: 5}]\n",
        "detectors: [{name: US_SSN, allow: [536-22-8726]}]\n",
        "detectors: [{name: US_SSN, allow_patterns: [536-22-8726]}]\n",
    ]
    assert len({load(smallest + text).digest for text in texts}) == len(texts)


@pytest.mark.parametrize(
    ("text", "column", "said"),
    [
        ("detectors: [{name: US_SSN}]", 13, "nothing is changed"),
        ("detectors: [{name: US_SSN, threshold: 0.6}, {name: US_SSN, threshold: 0.6}]", 52, "already"),
        ("detectors: [{name: US_SSN, threshold: 0}]", 39, "from 0.01 to 1"),
        ("detectors: [{name: US_SSN, threshold: 1.5}]", 39, "from 0.01 to 1"),
        ("detectors: [{name: US_SSN, threshold: high}]", 39, "from 0.01 to 1"),
        (
            "detectors: [{name: US_SSN, threshold: 0.99}]",
            13,
            "no match of US_SSN reaches 0.99: alone it has 0.6",
        ),
        ("detectors: [{name: UK_NHS, threshold: 0.9}]", 13, "no match of UK_NHS reaches 0.9"),
        ("detectors: [{name: PRIVATE_KEY, allow: [x]}]", 13, "takes no options"),
        ("detectors: [{name: PRIVATE_KEY, context: [x]}]", 13, "takes no options"),
        ("detectors: [{name: US_SSN, context: []}]", 37, "must not be empty"),
        ("detectors: [{name: US_SSN, context: ['ssn:']}]", 38, "must begin and end with a letter or digit"),
        ("detectors: [{name: US_SSN, context: [ssn], within: 0}]", 52, "from 1 to 500"),
        ("detectors: [{name: US_SSN, context: [ssn], within: 501}]", 52, "from 1 to 500"),
        ("detectors: [{name: US_SSN, within: 5, allow: [a]}]", 36, "says how far context may be"),
        ("detectors: [{name: US_SSN, allow: [a, a]}]", 39, "twice"),
        ("detectors: [{name: US_SSN, allow_patterns: ['(?=a)']}]", 45, "no RE2 pattern"),
        ("detectors: [{name: US_SSN, score: 0.5}]", 28, "unknown key 'score'"),
        ("detectors: [{name: OWN, pattern: a, threshold: 0.5}]", 48, "threshold is for built-in types"),
        ("detectors: [{name: US_SNN, threshold: 0.5}]", 13, "did you mean US_SSN"),
        ("detectors: [{name: OWN, allow: [a]}]", 13, "pattern is missing"),
        (
            "masks: [{name: a, in: [answers], entities: [US_SSN], with: stars}]",
            60,
            "must be type or partial or",
        ),
        (
            "masks: [{name: a, in: [requests], entities: [UK_NHS], with: placeholder, restore: [tools]}]",
            84,
            "must be text or tool_arguments",
        ),
        (
            "masks: [{name: a, in: [requests], entities: [UK_NHS], with: type, restore: [text]}]",
            76,
            "only what is masked with: placeholder",
        ),
        (
            "masks: [{name: a, in: [requests, answers], entities: [UK_NHS], with: placeholder}]",
            23,
            "a placeholder stands for a value of the request",
        ),
        (
            _RESTORED_TWICE,
            111,
            "'a' masks UK_NHS already, with placeholder, restored in text",
        ),
        (
            _TWO_MASKS,
            90,
            "'a' masks UK_NHS already, with type",
        ),
    ],
)
def test_what_cannot_be_honoured_is_refused_with_its_place(
    text: str, column: int, said: str, faults: Faults, smallest: str
) -> None:
    found = faults(smallest + text + "\n")
    assert (3, column) in [(line, at) for line, at, _ in found]
    assert any(said in message for _, _, message in found), found


def test_detectors_of_presidio_are_read(load: Load, smallest: str) -> None:
    text = (
        smallest
        + """\
detectors:
  - {name: PERSON, presidio: {}}
  - {name: LOCATION, presidio: {language: de, model: de_core_news_lg}, threshold: 0.7}
masks:
  - {name: names, in: [requests], entities: [PERSON]}
requests:
  rules: [{name: a, when: "findings.LOCATION.count > 0", effect: deny}]
answers:
  rules: [{name: b, when: "findings.PERSON.count > 0", effect: deny}]
"""
    )
    loaded = load(text)
    assert loaded.config.presidio == (
        PresidioDetector("PERSON", "en", "en_core_web_lg", 0.5),
        PresidioDetector("LOCATION", "de", "de_core_news_lg", 0.7),
    )
    assert loaded.digest != load(text.replace("0.7", "0.8")).digest


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("detectors: [{name: PERSON, presidio: {}, allow: [x]}]", "Presidio finds PERSON in its own way"),
        ("detectors: [{name: PERSON, presidio: {}, pattern: x}]", "Presidio finds PERSON in its own way"),
        ("detectors: [{name: PERSON, presidio: {language: de}}]", "model"),
        ("detectors: [{name: PERSON, presidio: {model: ../x}}]", "a model of spaCy"),
        ("detectors: [{name: PERSON, presidio: {way: 1}}]", "way"),
        ("detectors: [{name: US_SSN, presidio: {}}]", "presidio"),
        (
            _PERSON + "masks: [{name: a, in: [requests, answers], entities: [PERSON]}]",
            "reads whole texts only, and answers come in pieces",
        ),
        (
            _PERSON + "answers: {rules: [{name: a, when: 'answer.findings.PERSON.count > 0', effect: deny}]}",
            "reads whole texts only, and answers come in pieces",
        ),
    ],
)
def test_what_presidio_cannot_do_is_refused(faults: Faults, smallest: str, lines: str, said: str) -> None:
    assert any(said in message for _, _, message in faults(smallest + lines + "\n"))
