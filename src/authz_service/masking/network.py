"""Entity types of network addresses."""

from __future__ import annotations

from typing import Final

from authz_service.masking import identifiers, validators
from authz_service.masking.entity_type import TOKENS, EntityType, Pattern
from authz_service.masking.identifiers import checked, is_always

_OCTET = r"(?:25[0-5]|2[0-4][0-9]|[01]?[0-9]?[0-9])"
_IPV4 = rf"(?:{_OCTET}\.){{3}}{_OCTET}"
_HEX = "[0-9A-Fa-f]"
_IPV6 = (
    rf"(?:{_HEX}{{1,4}}:(?:{_HEX}{{0,4}}:){{1,6}}|::(?:{_HEX}{{1,4}}:){{2,6}})"
    rf"(?:{_IPV4}|{_HEX}{{0,4}})"
)
_MAC = rf"{_HEX}{{2}}(?:(?::{_HEX}{{2}}){{5}}|(?:-{_HEX}{{2}}){{5}})|(?:{_HEX}{{4}}\.){{2}}{_HEX}{{4}}"
_CREDENTIALS = r"://[^\s/?#@:\"'<>]{0,100}:[^\s/?#@\"'<>]{1,200}@"

NETWORK: Final = (
    EntityType(
        "IP_ADDRESS",
        "four octets; or an IPv6 address with three groups, or a first one of three digits",
        (Pattern(_IPV4, validators.between_digits, 0.6), Pattern(_IPV6, validators.ipv6, 0.6)),
    ),
    EntityType(
        "MAC_ADDRESS",
        "six bytes with colons or hyphens, or three groups of four hexadecimal digits with dots",
        (Pattern(_MAC, checked(is_always), 0.8),),
    ),
    EntityType(
        "URL_CREDENTIALS",
        "user and password before the `@` of a URL",
        (Pattern(_CREDENTIALS, identifiers.between_parts, 0.9, family=TOKENS),),
    ),
)
