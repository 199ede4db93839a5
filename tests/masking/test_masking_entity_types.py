"""What the less common entity types take for a value, and what they let alone."""

from __future__ import annotations

import pytest
from tests.masking.replacing import merge, replace
from tests.masking.values import ENTITIES, placed

from authz_service.masking.catalogue import CATALOGUE
from authz_service.masking.detectors import build_scanner, builtin_names
from authz_service.masking.entity_type import CONTEXT, THRESHOLD, Number

_ALL = build_scanner()

_CHECKED = [
    "ABA_ROUTING_NUMBER", "AU_ABN", "AU_ACN", "AU_MEDICARE", "AU_TFN", "BR_CPF", "CA_SIN", "CH_AHV",
    "CREDIT_CARD", "DE_TAX_ID", "ES_NIE", "ES_NIF", "FI_PERSONAL_IDENTITY_CODE", "FR_NIR", "IBAN_CODE",
    "IN_AADHAAR", "IN_GSTIN", "IT_FISCAL_CODE", "IT_VAT_CODE", "KR_RRN", "MEDICAL_LICENSE", "NL_BSN",
    "PL_PESEL", "SE_PERSONNUMMER", "SG_NRIC_FIN", "TH_TNIN", "UK_NHS",
]  # fmt: skip


def _masked(text: str) -> str:
    return replace(text, merge(_ALL.scan(text), _ALL.entities))


def _found(text: str) -> set[str]:
    return {finding.entity for finding in _ALL.scan(text)}


def test_every_entity_type_has_a_value_in_the_tests() -> None:
    assert set(ENTITIES) == builtin_names()
    assert len(builtin_names()) >= 60


def _with_another_last(value: str) -> str:
    """The value with its last letter or digit, which checks the others, changed."""
    last = value[-1]
    following = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJKLMNOPQRSTUVWXYZ"
    at = following.index(last.upper())
    return value[:-1] + (str((int(last) + 1) % 10) if last.isdigit() else following[at + 1])


@pytest.mark.parametrize("entity", _CHECKED)
def test_a_value_with_a_wrong_check_digit_is_none(entity: str) -> None:
    value = ENTITIES[entity][0]
    before, after = placed(entity, value)
    assert entity in _found(before + value + after)
    wrong = _with_another_last(value)
    if entity == "AU_MEDICARE":  # its last digit counts the issues of a card; the one before it checks
        wrong = "2123 45671 1"
    assert entity not in _found(before + wrong + after)


@pytest.mark.parametrize(
    "entity",
    sorted(kind.name for kind in CATALOGUE.values() if any(isinstance(s, Number) for s in kind.shapes)),
)
def test_bare_numbers_count_only_after_a_word_that_says_what_they_are(entity: str) -> None:
    for value in ENTITIES[entity]:
        before, after = placed(entity, value)
        assert entity in _found(before + value + after)
        assert entity not in _found("It is " + value + after)
        assert entity in _found(before + " " * (60 - len(before)) + value + after)
        assert entity not in _found(before + "." * 60 + value + after)


def test_a_number_ends_with_its_group_of_digits() -> None:
    assert _masked("NHS 943 476 5919 12") == "NHS [UK_NHS] 12"
    for text in ("NHS 943476591912", "NHS 943 476 591912", "NHS 9434765919123456789", "NHS 1943 476 5919"):
        assert "UK_NHS" not in _found(text)


def test_scores_leave_no_shape_that_can_never_be_found() -> None:
    for kind in CATALOGUE.values():
        for shape in kind.shapes:
            assert 0 < shape.score <= 1
            assert shape.score >= THRESHOLD or (kind.context and shape.score + CONTEXT >= THRESHOLD), (
                kind.name
            )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("+44 20 7946 0958.", "[PHONE_NUMBER]."),
        ("(+49) 30 901820", "([PHONE_NUMBER]"),
        ("+1 (415) 555-2671 ext", "[PHONE_NUMBER] ext"),
        ("tel. 030/901820", "tel. [PHONE_NUMBER]"),
        ("Phone (415) 555-2671, fax 415.555.2672", "Phone [PHONE_NUMBER], fax [PHONE_NUMBER]"),
        ("(415) 555-2671", "(415) 555-2671"),
        ("+999 1234 567890", "+999 1234 567890"),
        ("x+442079460958", "x+442079460958"),
        ("tel +44 20 7946 0958 12", "tel [PHONE_NUMBER] 12"),
        ("phone 12 34, tel 5", "phone 12 34, tel 5"),
    ],
)
def test_phone_numbers(text: str, expected: str) -> None:
    assert _masked(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://bob:secret@host/", "https://[URL_CREDENTIALS]@host/"),
        ("https://:token@host/", "https://[URL_CREDENTIALS]@host/"),
        ("https://host:80/a@b", "https://host:80/a@b"),
        ("http://host/path?x=1:2@3", "http://host/path?x=1:2@3"),
        ("00:1B:44:11:3A:B7 0:1B:44:11:3A:B7", "[MAC_ADDRESS] 0:1B:44:11:3A:B7"),
        ("aa-bb-cc-dd-ee-ff", "[MAC_ADDRESS]"),
        ("aa-bb:cc-dd:ee-ff", "aa-bb:cc-dd:ee-ff"),
    ],
)
def test_network_addresses(text: str, expected: str) -> None:
    assert _masked(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("RCCMNL83S18D969H", "[IT_FISCAL_CODE]"),
        ("XRCCMNL83S18D969H", "XRCCMNL83S18D969H"),
        (r"a\nRCCMNL83S18D969H\n", r"a\n[IT_FISCAL_CODE]\n"),
        ("GB 12 34 56 C", "GB 12 34 56 C"),
        ("GB123456C AB123456C AB123456E", "GB123456C [UK_NINO] AB123456E"),
        ("1EG4-TE5-MK73 1SG4-TE5-MK73", "[US_MBI] 1SG4-TE5-MK73"),
        ("900-49-0001 900-50-0001", "900-49-0001 [US_ITIN]"),
        ("756.9217.0769.84", "756.9217.0769.84"),
        ("1NEDqZPvTWRaoho48qXuLLsrYomMXPABfE", "1NEDqZPvTWRaoho48qXuLLsrYomMXPABfE"),
        ("ACUXA7085R", "ACUXA7085R"),
    ],
)
def test_identifiers(text: str, expected: str) -> None:
    assert _masked(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "sk-learn and task-force, disk-0123456789",
        "xoxo-hugs AIzaberlin SG.x.y npm_config_registry hf_hub_download pypi-server glpat-",
        "AC0123456789ABCDEF0123456789ABCDEF",
        "secret_key = settings.SECRET_KEY",
        "dapi0123 dop_v1_0123 shpat_0123 whsec_0123 authz_key_0123",
        "In 2024, 12345 of 67890 and 2024-01-31 10:30:00.123456789; version 1.2.3, build 20240131103000",
        "order 123456789, ticket 1234567890, batch 123456789012, SKU 1234567890123",
        "d41d8cd98f00b204e9800998ecf8427e 0123e4567-e89b-12d3-a456-426614174000",
        "Passports are checked at the border. Call me when you are there; the phone is on the table.",
    ],
)
def test_what_looks_a_little_like_a_value_is_left_alone(text: str) -> None:
    assert _masked(text) == text
