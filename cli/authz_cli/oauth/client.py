"""What a login asks for: at which provider, as which client, for which of our two doors."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

SCOPES = ("openid", "offline_access")
REDIRECT = "http://127.0.0.1/callback"


class Use(StrEnum):
    """A token has one use: the review API's opens no gateway, and the other way round."""

    REVIEW = "review"
    GATEWAY = "gateway"


@dataclass(frozen=True, slots=True)
class Client:
    """A client of the provider at `issuer`.

    `resource` is RFC 8707's ("" sends none), `audience` what our server takes ("" where nobody said),
    `redirect` a URL on loopback, for which any port will do if it names none (RFC 8252 7.3).
    """

    issuer: str
    client_id: str
    scopes: tuple[str, ...] = SCOPES
    resource: str = ""
    is_id_token: bool = False
    redirect: str = REDIRECT
    audience: str = ""
