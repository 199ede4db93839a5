"""The groups that a token names, and whether these are all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from authz_service.identity.token import malformed, name_in

OKTA_CUT: Final = 100
"""Okta leaves out what exceeds this number without a word."""


@dataclass(frozen=True, slots=True)
class GroupClaim:
    """How an issuer says groups: `path` is that of the claim, outermost name first.

    Of a list with exactly `cut` names some may be missing (0: lists are never cut). `without_slash`
    takes the leading slash off a name, with which Keycloak begins the path of a group.
    """

    path: tuple[str, ...] = ("groups",)
    cut: int = OKTA_CUT
    without_slash: bool = False

    def read(self, claims: Mapping[str, Any]) -> tuple[tuple[str, ...], bool]:
        """The names, and whether they are known to be all; raises `Unauthenticated` for no names."""
        value: object = claims
        for name in self.path:
            value = value.get(name) if isinstance(value, Mapping) else None
        if value is None or _is_source(claims, value):
            return (), False  # the issuer says nothing about groups here, which is not the same as none
        entries = [value] if isinstance(value, str) else value
        if not isinstance(entries, list):
            raise malformed("its groups are not a list of names")
        groups = tuple(self._name(entry) for entry in entries)
        is_cut = self.cut > 0 and len(groups) == self.cut
        return groups, not is_cut and not _has_overage(claims, self.path[0])

    def _name(self, entry: object) -> str:
        name = name_in(entry, ".".join(self.path))
        # One slash, and never the path before the last part: /customers/admin is not /staff/admin.
        return name[1:] if self.without_slash and len(name) > 1 and name[0] == "/" else name


def _is_source(claims: Mapping[str, Any], value: object) -> bool:
    """Whether the claim names the place where Entra says that the groups are, and no group."""
    sources = claims.get("_claim_sources")
    return isinstance(value, str) and isinstance(sources, Mapping) and value in sources


def _has_overage(claims: Mapping[str, Any], claim: str) -> bool:
    """Entra's signs that it left groups out: distributed claims (OpenID Connect Core 5.6.2), `hasgroups`,
    and `groups:src1` where the token has no room for more."""
    if "hasgroups" in claims or any(name.startswith(f"{claim}:src") for name in claims):
        return True
    elsewhere = claims.get("_claim_names")
    return claim in elsewhere if isinstance(elsewhere, Mapping) else elsewhere is not None
