"""The entity types that we know, named as Presidio names them where it does, and `build_scanner`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import re2

from authz_service.errors import Misconfigured
from authz_service.masking import validators
from authz_service.masking.pattern_detector import PatternDetector
from authz_service.masking.region_detector import RegionDetector
from authz_service.masking.scanner import DetectorScanner
from authz_service.masking.seams import Scanner
from authz_service.masking.steps import Detector

# Space, hyphen, and what models and typesetting write for them: no-break spaces, other hyphens, dashes.
_GAP = r"[ \-\x{A0}\x{202F}\x{2010}-\x{2015}]"

# Scripts that put spaces between words. In others an address could begin anywhere in a sentence, and
# a stream would hold back all of it.
_LETTER = r"A-Za-z\x{C0}-\x{24F}\x{370}-\x{52F}"

# Patterns that count (`{1,64}`) begin with the class that they go on with, and validators look at the
# beginning: otherwise RE2's automaton has a state for each set of places where one could have begun.
_EMAIL = (
    rf"[{_LETTER}0-9._%+'-]{{1,64}}"
    rf"@(?:[{_LETTER}0-9](?:[{_LETTER}0-9-]*[{_LETTER}0-9])?\.)+(?:xn--[A-Za-z0-9-]*[A-Za-z0-9]|[{_LETTER}]{{2,}})"
)

_CARD = rf"[0-9](?:{_GAP}?[0-9]){{12,18}}"

_IBAN_HEAD = r"(?:[A-Z]{2}|\b[A-Za-z]{2})[0-9]{2}"
_IBAN = rf"{_IBAN_HEAD}(?:{_GAP}?[A-Za-z0-9]){{11,30}}"
_IBAN_SIGN = rf"{_IBAN_HEAD}{_GAP}?[A-Za-z0-9]{_GAP}?[A-Za-z0-9]"

# Never issued: areas 000, 666 and 900 to 999, group 00, serial 0000 (20 CFR 422.103, SSA POMS).
_SSN = (
    r"(?:00[1-9]|0[1-9][0-9]|[1-57][0-9]{2}|6[0-57-9][0-9]|66[0-57-9]|8[0-9]{2})"
    rf"{_GAP}(?:0[1-9]|[1-9][0-9]){_GAP}"
    r"(?:000[1-9]|00[1-9][0-9]|0[1-9][0-9]{2}|[1-9][0-9]{3})"
)

_OCTET = r"(?:25[0-5]|2[0-4][0-9]|[01]?[0-9]?[0-9])"
_IPV4 = rf"(?:{_OCTET}\.){{3}}{_OCTET}"
_HEX = "[0-9A-Fa-f]"
_IPV6 = (
    rf"(?:{_HEX}{{1,4}}:(?:{_HEX}{{0,4}}:){{1,6}}|::(?:{_HEX}{{1,4}}:){{2,6}})"
    rf"(?:{_IPV4}|{_HEX}{{0,4}})"
)

# Tokens with a telling beginning have no boundary before them: in `\nAKIA...`, JSON that is quoted in
# a text, there is none.
_AWS = r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}"
_GITHUB = r"(?:gh[pousr]_[A-Za-z0-9_]{36,}|github_pat_[A-Za-z0-9_]{22,})"

# RFC 7515 7.1: three parts, of which the first two are base64url of `{"` or `{ `. RFC 7516 7.1: five,
# the third of 96 bits, the last of 128 or more.
_PART = "[A-Za-z0-9_-]"
_JWT = (
    rf"ey[JA]{_PART}{{8,}}\."
    rf"(?:e[yw]{_PART}{{4,}}\.{_PART}*|{_PART}*\.{_PART}{{16}}\.{_PART}+\.{_PART}{{22,}})"
)

# RFC 7468 2, with OpenSSH's and PGP's labels; and the four dashes of ssh.com's keys.
_KEY = r"[A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?"
_KEY_BEGINS = rf"-----BEGIN {_KEY}-----|---- BEGIN {_KEY} ----"
_KEY_ENDS = rf"-----END {_KEY}-----|---- END {_KEY} ----"

_BUILTIN: dict[str, Callable[[], tuple[Detector, ...]]] = {
    "AWS_ACCESS_KEY": lambda: (PatternDetector("AWS_ACCESS_KEY", _AWS),),
    "CREDIT_CARD": lambda: (PatternDetector("CREDIT_CARD", _CARD, validators.card),),
    "EMAIL_ADDRESS": lambda: (PatternDetector("EMAIL_ADDRESS", _EMAIL, validators.email),),
    "GITHUB_TOKEN": lambda: (PatternDetector("GITHUB_TOKEN", _GITHUB),),
    "IBAN_CODE": lambda: (PatternDetector("IBAN_CODE", _IBAN, validators.iban, sign=_IBAN_SIGN),),
    "IP_ADDRESS": lambda: (
        PatternDetector("IP_ADDRESS", _IPV4, validators.between_digits),
        PatternDetector("IP_ADDRESS", _IPV6, validators.ipv6),
    ),
    "JWT": lambda: (PatternDetector("JWT", _JWT),),
    "PRIVATE_KEY": lambda: (RegionDetector("PRIVATE_KEY", opening=_KEY_BEGINS, closing=_KEY_ENDS),),
    "US_SSN": lambda: (PatternDetector("US_SSN", _SSN, validators.between_digits),),
}


def builtin_names() -> frozenset[str]:
    """The entity types that need no configuration."""
    return frozenset(_BUILTIN)


def build_scanner(entities: Iterable[str] | None = None, custom: Sequence[tuple[str, str]] = ()) -> Scanner:
    """A scanner for these built-in entity types (all, when None) and for operators' (name, pattern).

    Raises `Misconfigured` with a line for each unknown type, each name of ours that is taken again,
    and each pattern that `check_pattern` refuses.
    """
    wanted = builtin_names() if entities is None else frozenset(entities)
    faults = [f"{name}: no such entity type" for name in sorted(wanted - builtin_names())]
    detectors = [detector for name in sorted(wanted & builtin_names()) for detector in _BUILTIN[name]()]
    for name, pattern in custom:
        try:
            detectors.append(PatternDetector(_checked_name(name), pattern))
        except Misconfigured as fault:
            faults.append(f"{name}: {fault}")
    if faults:
        raise Misconfigured("\n".join(faults), code="bad_detectors")
    try:
        return DetectorScanner(detectors)
    except re2.error as cause:
        message = "the patterns are too large to be searched for together"
        raise Misconfigured(message, code="bad_detectors") from cause


def _checked_name(name: str) -> str:
    """A name goes into placeholders, within JSON strings too, and is a field of rules' conditions."""
    if name in _BUILTIN:
        raise Misconfigured("the name of a built-in entity type")
    if not (name.isascii() and name.isidentifier()):
        raise Misconfigured("a name has letters, digits and underscores, and begins with no digit")
    return name
