"""Entity types of personal data that a pattern, mostly with a check, tells from other text."""

from __future__ import annotations

from typing import Final

from stdnum import bitcoin
from stdnum.br import cpf
from stdnum.ch import ssn as ahv
from stdnum.es import dni, nie
from stdnum.fi import hetu
from stdnum.in_ import gstin, pan
from stdnum.it import codicefiscale

from authz_service.masking import identifiers, phone_numbers, validators
from authz_service.masking.entity_type import CRYPTO, DIGITS, EMAIL, LONG, EntityType, Pattern
from authz_service.masking.identifiers import by_library, checked
from authz_service.masking.patterns import GAP, LETTER

# Patterns that count (`{1,64}`) begin with the class that they go on with, and validators look at the
# beginning: otherwise RE2's automaton has a state for each set of places where one could have begun.
_EMAIL = (
    rf"[{LETTER}0-9._%+'-]{{1,64}}"
    rf"@(?:[{LETTER}0-9](?:[{LETTER}0-9-]*[{LETTER}0-9])?\.)+(?:xn--[A-Za-z0-9-]*[A-Za-z0-9]|[{LETTER}]{{2,}})"
)

_CARD = rf"[0-9](?:{GAP}?[0-9]){{12,18}}"

_IBAN_HEAD = r"(?:[A-Z]{2}|\b[A-Za-z]{2})[0-9]{2}"
_IBAN = rf"{_IBAN_HEAD}(?:{GAP}?[A-Za-z0-9]){{11,30}}"
_IBAN_SIGN = rf"{_IBAN_HEAD}{GAP}?[A-Za-z0-9]{GAP}?[A-Za-z0-9]"

# Never issued: areas 000, 666 and 900 to 999, group 00, serial 0000 (20 CFR 422.103, SSA POMS).
_SSN = (
    r"(?:00[1-9]|0[1-9][0-9]|[1-57][0-9]{2}|6[0-57-9][0-9]|66[0-57-9]|8[0-9]{2})"
    rf"{GAP}(?:0[1-9]|[1-9][0-9]){GAP}"
    r"(?:000[1-9]|00[1-9][0-9]|0[1-9][0-9]{2}|[1-9][0-9]{3})"
)
_SSN_SIGN = rf"[0-9]{{3}}{GAP}[0-9]{{2}}{GAP}[0-9]{{4}}"
_ITIN = rf"9[0-9]{{2}}{GAP}(?:5[0-9]|6[0-5]|7[0-9]|8[0-8]|9[0-24-9]){GAP}[0-9]{{4}}"

# Medicare's letters leave out S, L, O, I, B and Z (CMS).
_MBI_LETTER = "[AC-HJKMNP-RT-Y]"
_MBI_EITHER = "[AC-HJKMNP-RT-Y0-9]"
_MBI = rf"[1-9]{_MBI_LETTER}{_MBI_EITHER}[0-9]-?{_MBI_LETTER}{_MBI_EITHER}[0-9]-?{_MBI_LETTER}{{2}}[0-9]{{2}}"

_NINO = rf"[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z]{GAP}?(?:[0-9]{{2}}{GAP}?){{3}}[A-D]"
_FISCAL_DIGIT = "[0-9LMNP-Vlmnp-v]"
_FISCAL_CODE = (
    rf"[A-Za-z]{{6}}{_FISCAL_DIGIT}{{2}}[A-EHLMPR-Ta-ehlmpr-t]{_FISCAL_DIGIT}{{2}}"
    rf"[A-Za-z]{_FISCAL_DIGIT}{{3}}[A-Za-z]"
)
_HETU = r"(?:0[1-9]|[12][0-9]|3[01])(?:0[1-9]|1[0-2])[0-9]{2}[-+A-FU-Y][0-9]{3}[0-9A-FHJ-NPR-Y]"
_GSTIN = "[0-9]{2}[A-Z]{5}[0-9]{4}[A-Z][1-9A-Z]Z[0-9A-Z]"
_CPF = r"[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}"
_AHV = r"756[. ]?[0-9]{4}[. ]?[0-9]{4}[. ]?[0-9]{2}"
_BITCOIN = r"\b(?:bc1q[02-9ac-hj-np-z]{38,58}|[13][1-9A-HJ-NP-Za-km-z]{25,34})"
_TAPROOT = r"\bbc1p[02-9ac-hj-np-z]{58}"

PERSONAL_DATA: Final = (
    EntityType(
        "CREDIT_CARD",
        "13 to 19 digits in groups of three and more, of an issuer of today",
        (Pattern(_CARD, validators.card, family=DIGITS),),
        checked="Luhn",
    ),
    EntityType(
        "EMAIL_ADDRESS",
        "local part of up to 64 characters, and a domain with a top-level part; Latin, Greek and Cyrillic",
        (Pattern(_EMAIL, validators.email, family=EMAIL),),
    ),
    EntityType(
        "IBAN_CODE",
        "country, check digits and account, in groups or not",
        (Pattern(_IBAN, validators.iban, sign=_IBAN_SIGN, family=LONG),),
        checked="the country's length, mod 97",
    ),
    EntityType(
        "PHONE_NUMBER",
        "`+` and country code; or a national number, with a word that says so",
        (
            Pattern(phone_numbers.INTERNATIONAL, phone_numbers.international, 0.75, family=DIGITS),
            Pattern(phone_numbers.NATIONAL, phone_numbers.national, 0.3, family=DIGITS),
        ),
        checked="the country's lengths and ranges (US, GB, DE, FR, ES, IT, IN, BR, AU without country code)",
        context=(
            "phone", "telephone", "tel", "mobile", "cell", "cellphone", "call", "fax", "whatsapp", "sms",
            "telefon", "handy", "mobil", "téléphone", "portable", "teléfono", "móvil", "telefono",
            "cellulare", "telefone", "celular",
        ),
    ),
    EntityType(
        "CRYPTO",
        "Bitcoin address: base58, or bech32 with `bc1`",
        (
            Pattern(_BITCOIN, checked(by_library(bitcoin.validate)), family=CRYPTO),
            Pattern(_TAPROOT, checked(identifiers.is_always), 0.9, family=CRYPTO),
        ),
        checked="base58check or bech32; none for `bc1p`",
    ),
    EntityType(
        "US_SSN",
        "three, two and four digits, of the areas, groups and serials that are issued",
        (Pattern(_SSN, validators.between_digits, 0.6, _SSN_SIGN, DIGITS),),
    ),
    EntityType(
        "US_ITIN",
        "as a social security number, beginning with 9, of the groups that are issued",
        (Pattern(_ITIN, validators.between_digits, 0.6, _SSN_SIGN, DIGITS),),
    ),
    EntityType(
        "US_MBI",
        "Medicare beneficiary identifier: eleven letters and digits in their places",
        (Pattern(_MBI, checked(identifiers.is_always), 0.6),),
    ),
    EntityType(
        "MEDICAL_LICENSE",
        "DEA registration: two letters, or a letter and 9, and seven digits",
        (Pattern("[A-HJ-MPR-UX][A-Z9][0-9]{7}", checked(identifiers.is_dea), 0.4),),
        checked="weighted sum",
        context=("medical", "certificate", "dea", "license", "licence", "registration", "prescriber"),
    ),
    EntityType(
        "UK_NINO",
        "two letters of a prefix in use, six digits, A to D",
        (Pattern(_NINO, checked(identifiers.is_nino), 0.6),),
    ),
    EntityType(
        "ES_NIF",
        "eight digits and a letter",
        (Pattern("[0-9]{8}[ -]?[A-Za-z]", checked(by_library(dni.validate)), 0.6),),
        checked="the letter, mod 23",
    ),
    EntityType(
        "ES_NIE",
        "X, Y or Z, seven digits and a letter",
        (Pattern("[XYZxyz][ -]?[0-9]{7}[ -]?[A-Za-z]", checked(by_library(nie.validate)), 0.7),),
        checked="the letter, mod 23",
    ),
    EntityType(
        "IT_FISCAL_CODE",
        "sixteen letters and digits in their places, with those that stand for digits",
        (Pattern(_FISCAL_CODE, checked(by_library(codicefiscale.validate)), family=LONG),),
        checked="date of birth, last letter",
    ),
    EntityType(
        "FI_PERSONAL_IDENTITY_CODE",
        "date of birth, sign of the century, three digits and a check character",
        (Pattern(_HETU, checked(by_library(hetu.validate)), 0.9),),
        checked="date, mod 31",
    ),
    EntityType(
        "IN_PAN",
        "five letters, the fourth a kind of holder, four digits and a letter",
        (Pattern("[A-Z]{3}[ABCFGHJLPT][A-Z][0-9]{4}[A-Z]", checked(by_library(pan.validate)), 0.6),),
    ),
    EntityType(
        "IN_GSTIN",
        "state, PAN, entity, Z and a check character",
        (Pattern(_GSTIN, checked(by_library(gstin.validate)), 0.9),),
        checked="Luhn mod 36",
    ),
    EntityType(
        "SG_NRIC_FIN",
        "S, T, F, G or M, seven digits and a letter",
        (Pattern("[STFGM][0-9]{7}[A-Z]", checked(identifiers.is_nric), 0.7),),
        checked="the letter, mod 11",
    ),
    EntityType(
        "BR_CPF",
        "eleven digits as in 390.533.447-05",
        (Pattern(_CPF, checked(by_library(cpf.validate)), 0.9, family=DIGITS),),
        checked="two check digits, mod 11",
    ),
    EntityType(
        "CH_AHV",
        "thirteen digits from 756 on, in groups or not",
        (Pattern(_AHV, checked(by_library(ahv.validate)), 0.8, family=DIGITS),),
        checked="EAN-13",
    ),
)  # fmt: skip
