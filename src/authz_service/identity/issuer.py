"""One issuer that is trusted, and what is asked of its tokens."""

from __future__ import annotations

from dataclasses import dataclass, field

from authz_service.errors import Misconfigured
from authz_service.identity.claims import PersonClaim
from authz_service.identity.group_cache import Lookup
from authz_service.identity.groups import GroupClaim
from authz_service.identity.key_sources import KeySource
from authz_service.identity.keys import KEY_TYPES
from authz_service.identity.service_accounts import ServiceAccounts


@dataclass(frozen=True, slots=True)
class TrustedIssuer:
    """`audience` is that of the gateway.

    `max_lifetime` in seconds.
    """

    url: str
    audience: str
    algorithms: tuple[str, ...]
    keys: KeySource
    groups: GroupClaim = field(default_factory=GroupClaim)
    person: PersonClaim | None = None
    lookup: Lookup | None = None
    max_lifetime: float = 86_400.0
    services: ServiceAccounts = field(default_factory=ServiceAccounts)

    def __post_init__(self) -> None:
        unknown = [name for name in self.algorithms if name not in KEY_TYPES]
        if unknown or not self.algorithms:
            names = ", ".join(unknown) or "none"
            raise Misconfigured(f"issuer {self.url}: algorithms that cannot be used: {names}")
        if ":" not in self.url:  # "person" as an issuer would be taken for the claim of that name
            raise Misconfigured(f"issuer {self.url!r} is not a URL")
        if not self.groups.path or self.max_lifetime <= 0:
            raise Misconfigured(f"issuer {self.url}: groups and max_lifetime may not be empty or zero")
