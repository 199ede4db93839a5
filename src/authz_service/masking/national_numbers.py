"""Entity types that are nothing but digits: they count only after a word that says what they are."""

from __future__ import annotations

from typing import Final

from stdnum.au import abn, acn, tfn
from stdnum.ca import sin
from stdnum.de import idnr
from stdnum.fr import nir
from stdnum.gb import nhs
from stdnum.in_ import aadhaar
from stdnum.it import iva
from stdnum.kr import rrn
from stdnum.nl import bsn
from stdnum.pl import pesel
from stdnum.se import personnummer
from stdnum.th import pin
from stdnum.us import rtn

from authz_service.masking.entity_type import EntityType, Number, Pattern
from authz_service.masking.identifiers import by_library, checked, is_always, is_medicare


def _is_personnummer(value: str) -> bool:
    return by_library(personnummer.validate)(f"{value[:-4]}-{value[-4:]}")


NATIONAL_NUMBERS: Final = (
    EntityType(
        "ABA_ROUTING_NUMBER", "nine digits", (Number(9, by_library(rtn.validate)),),
        checked="weighted sum, mod 10", context=("aba", "routing", "bank", "wire", "transit"),
    ),
    EntityType(
        "AU_ABN", "eleven digits", (Number(11, by_library(abn.validate), 0.4),),
        checked="mod 89", context=("abn", "australian business number", "business number"),
    ),
    EntityType(
        "AU_ACN", "nine digits", (Number(9, by_library(acn.validate)),),
        checked="mod 10", context=("acn", "australian company number", "company number"),
    ),
    EntityType(
        "AU_MEDICARE", "ten digits", (Number(10, is_medicare),),
        checked="weighted sum, mod 10", context=("medicare",),
    ),
    EntityType(
        "AU_TFN", "nine digits", (Number(9, by_library(tfn.validate)),),
        checked="mod 11", context=("tfn", "tax file number"),
    ),
    EntityType(
        "CA_SIN", "nine digits", (Number(9, by_library(sin.validate)),),
        checked="Luhn", context=("sin", "social insurance", "assurance sociale", "nas"),
    ),
    EntityType(
        "DE_TAX_ID", "eleven digits", (Number(11, by_library(idnr.validate), 0.4),),
        checked="repeated digits, mod 11,10",
        context=(
            "steuer-id", "steueridentifikationsnummer", "steuernummer", "steuer-identifikationsnummer",
            "idnr", "tin", "tax id", "tax number",
        ),
    ),
    EntityType(
        "FR_NIR", "fifteen digits", (Number(15, by_library(nir.validate), 0.4),),
        checked="mod 97", context=("nir", "insee", "sécurité sociale", "securite sociale", "social security"),
    ),
    EntityType(
        "IN_AADHAAR", "twelve digits", (Number(12, by_library(aadhaar.validate), 0.4),),
        checked="Verhoeff", context=("aadhaar", "aadhar", "uidai", "uid"),
    ),
    EntityType(
        "IT_VAT_CODE", "eleven digits", (Number(11, by_library(iva.validate), 0.3),),
        checked="Luhn", context=("piva", "partita iva", "p.iva", "pi", "vat"),
    ),
    EntityType(
        "KR_RRN", "thirteen digits", (Number(13, by_library(rrn.validate), 0.4),),
        checked="date of birth, mod 11",
        context=("rrn", "resident registration", "korean id", "주민등록번호", "주민번호"),
    ),
    EntityType(
        "NL_BSN", "nine digits", (Number(9, by_library(bsn.validate)),),
        checked="mod 11", context=("bsn", "burgerservicenummer", "sofinummer", "citizen service number"),
    ),
    EntityType(
        "PL_PESEL", "eleven digits", (Number(11, by_library(pesel.validate), 0.4),),
        checked="date of birth, mod 10", context=("pesel",),
    ),
    EntityType(
        "SE_PERSONNUMMER", "ten or twelve digits",
        (Number(10, _is_personnummer), Number(12, _is_personnummer, 0.4)),
        checked="date of birth, Luhn", context=("personnummer", "personal identity number", "pnr"),
    ),
    EntityType(
        "TH_TNIN", "thirteen digits", (Number(13, by_library(pin.validate), 0.4),),
        checked="mod 11",
        context=("thai id", "thai national id", "national id", "tnin", "เลขประจำตัวประชาชน", "บัตรประชาชน"),
    ),
    EntityType(
        "UK_NHS", "ten digits", (Number(10, by_library(nhs.validate), 0.4),),
        checked="mod 11", context=("nhs", "national health service", "health service"),
    ),
    EntityType(
        "US_PASSPORT", "nine digits, or a letter and eight",
        (Number(9, is_always, 0.2), Pattern("[A-Z][0-9]{8}", checked(is_always), 0.2)),
        context=("passport", "travel document"),
    ),
)  # fmt: skip
