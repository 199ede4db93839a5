"""The sections `identity` and `login` of the configuration as values."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from authz_service.config.gateway_values import Tls


@dataclass(frozen=True, slots=True)
class EntraDirectory:
    """Groups by Microsoft Graph. `secret` is the file with that of the application `client`.

    `login` and `api` are the servers of the cloud that the tenant is in.
    """

    tenant: str
    client: str
    secret: Path
    login: str = "https://login.microsoftonline.com"
    api: str = "https://graph.microsoft.com"


@dataclass(frozen=True, slots=True)
class GoogleDirectory:
    """Groups by the Admin SDK. `key` is the file of a service account that acts for `admin`."""

    key: Path
    admin: str
    api: str = "https://admin.googleapis.com"


@dataclass(frozen=True, slots=True)
class Lookup:
    """Where to ask for groups that a token leaves out; `member` is the claim that names whose.

    An answer counts for `fresh` seconds, and for `stale` more while the directory is away.
    """

    directory: EntraDirectory | GoogleDirectory
    member: str
    fresh: float = 300.0
    stale: float = 3600.0


@dataclass(frozen=True, slots=True)
class ServiceAccounts:
    """Which tokens are a service's: those with the claim `having` (and `value`), or without `lacking`.

    Neither given: by the usual signs. `scopes` is the path of the claim with the words of its scope.
    """

    having: tuple[str, ...] = ()
    value: str | None = None
    lacking: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ("scope",)


@dataclass(frozen=True, slots=True)
class Issuer:
    """Who signs callers' tokens. Keys come from `jwks` (a URL or a file), never from the token.

    Without `jwks` the issuer's own metadata names it. `groups` is the path of claim names that leads to
    the groups; of a list with exactly `groups_cut` names some may be missing (0: of none).
    """

    url: str
    audience: str
    algorithms: tuple[str, ...]
    jwks: str = ""
    stale_keys: float = 86_400.0
    groups: tuple[str, ...] = ("groups",)
    groups_cut: int = 100
    groups_without_slash: bool = False
    lookup: Lookup | None = None
    person: str | None = None
    unverified_email: bool = False
    max_lifetime: float = 86_400.0
    services: ServiceAccounts = ServiceAccounts()


@dataclass(frozen=True, slots=True)
class SamlBatch:
    """Where assertions of batch clients (RFC 7522) say their scope, and who answers for them: attributes."""

    scope: str = "scope"
    owner: str = "owner"


@dataclass(frozen=True, slots=True)
class SamlProvider:
    """An identity provider whose assertions become tokens of ours, for `lifetime` seconds at most.

    `metadata` is a file or an https URL, `signed_by` a PEM file with the certificate that must have signed
    it. `subject`, `groups` and `person` are names of attributes; without `subject` the NameID does, if
    it is of `name_format`: whoever edits a request that is not signed may have another name by another. With
    `sign_requests` all are signed, else where the provider's metadata asks for it.
    """

    name: str
    entity_id: str
    metadata: str
    audience: str
    signed_by: Path | None = None
    subject: str | None = None
    name_format: str = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
    groups: str = "groups"
    groups_cut: int = 100
    groups_without_slash: bool = False
    person: str | None = None
    lifetime: float = 3600.0
    batch: SamlBatch | None = None
    sign_requests: bool = False

    def issuer(self, listener: LoginListener) -> str:
        """The `iss` of tokens for its people."""
        return f"{listener.url}/saml/{self.name}"


@dataclass(frozen=True, slots=True)
class LoginListener:
    """Where browsers that log in by SAML reach us: `url` as they see it, the rest as we listen."""

    url: str
    host: str
    port: int
    tls: Tls | None = None


@dataclass(frozen=True, slots=True)
class CertificateService:
    """A service by the name in its client certificate: a URI (SPIFFE), or a subject by RFC 4514.

    `owner` answers for it; `scope` are the words of what it may ask for.
    """

    name: str
    owner: str
    scope: tuple[str, ...]
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ClientCertificates:
    """Who may call by a client certificate, signed by an authority in the PEM file `authority`.

    With `yields_to_token` a token beside a certificate says who calls; else the two are refused.
    """

    authority: Path
    services: tuple[CertificateService, ...]
    yields_to_token: bool = False


@dataclass(frozen=True, slots=True)
class Identity:
    """Either the embedded issuer or others; both only with `embedded_votes`. `api_keys` are our own.

    `saml` are issuers too: of tokens that we sign for those who came by an assertion.
    """

    embedded: bool = True
    embedded_votes: bool = False
    issuers: tuple[Issuer, ...] = ()
    api_keys: bool = True
    certificates: ClientCertificates | None = None
    saml: tuple[SamlProvider, ...] = ()

    @property
    def audiences(self) -> frozenset[str]:
        """Those of the gateway, at whatever issuer but the embedded one."""
        oidc = (issuer.audience for issuer in self.issuers)
        return frozenset((*oidc, *(provider.audience for provider in self.saml)))


@dataclass(frozen=True, slots=True)
class LoginClient:
    """The client of a provider that `authz login` acts as, and what it asks for.

    `redirect` is on loopback; without a port any will do (RFC 8252 7.3). `resource` is RFC 8707's.
    """

    issuer: str
    client: str
    scopes: tuple[str, ...] = ("openid", "offline_access")
    resource: str = ""
    is_id_token: bool = False
    redirect: str = "http://127.0.0.1/callback"


@dataclass(frozen=True, slots=True)
class Logins:
    """Where people get tokens for the review API and for the gateway; None: the server does not say.

    `listener` is there with `identity.saml`.
    """

    review: LoginClient | None = None
    gateway: LoginClient | None = None
    listener: LoginListener | None = None
