"""The configuration as frozen values, named as in authz.yaml; durations in seconds, sizes in bytes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from authz_service.core.holds import Approval


@dataclass(frozen=True, slots=True)
class Tls:
    """Certificate chain and key, PEM files."""

    cert: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Listen:
    """Where the gateway listens. `tls` may be absent on loopback only."""

    host: str = "127.0.0.1"
    port: int = 10000
    tls: Tls | None = None


@dataclass(frozen=True, slots=True)
class Credential:
    """The model's own credential: Envoy reads `file` and sets `header` to `prefix` + its content."""

    file: Path
    header: str = "authorization"
    prefix: str = "Bearer "


@dataclass(frozen=True, slots=True)
class Model:
    """A model that callers may ask for by `name` or an alias, and where its server is.

    The body that goes to its server says `name`, whatever alias the caller used.
    """

    name: str
    url: str
    aliases: tuple[str, ...] = ()
    credential: Credential | None = None


@dataclass(frozen=True, slots=True)
class Issuer:
    """Who signs callers' tokens. Keys come from `jwks` (a URL or a file), never from the token.

    `groups` is the path of claim names that leads to the groups.
    """

    url: str
    audience: str
    algorithms: tuple[str, ...]
    jwks: str
    groups: tuple[str, ...] = ("groups",)
    person: str | None = None
    max_lifetime: float = 86_400.0


@dataclass(frozen=True, slots=True)
class Identity:
    """Either the embedded issuer or others; both only with `embedded_votes`."""

    embedded: bool = True
    embedded_votes: bool = False
    issuers: tuple[Issuer, ...] = ()


@dataclass(frozen=True, slots=True)
class Review:
    """The review API: its tokens' audience, and who may use it (CEL over `person`)."""

    audience: str = "authz-review"
    reviewers: str = "'reviewers' in person.groups"
    auditors: str = "'auditors' in person.groups"


@dataclass(frozen=True, slots=True)
class Mask:
    """Entity types replaced by `[TYPE]` in requests, answers or both."""

    name: str
    entities: tuple[str, ...]
    in_requests: bool
    in_answers: bool


@dataclass(frozen=True, slots=True)
class CustomDetector:
    """An operator's own entity type and its RE2 pattern."""

    name: str
    pattern: str


@dataclass(frozen=True, slots=True)
class Holds:
    """How long a caller waits on the connection, how long an approval may be used, how many pend.

    `noise` are paths ("/metadata/nonce") whose values do not make a request another request.
    """

    wait: float = 180.0
    use_within: float = 900.0
    pending_per_caller: int = 20
    noise: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Limits:
    """The largest body (bytes, each direction when it must be whole) and the deepest JSON."""

    body: int = 8 * 1024 * 1024
    depth: int = 64


@dataclass(frozen=True, slots=True)
class PathRule:
    """A method and exact path that may pass unread to `model` when the CEL condition holds."""

    method: str
    path: str
    when: str
    model: str


@dataclass(frozen=True, slots=True)
class Config:
    """A whole authz.yaml, valid. The rules themselves are compiled into a `Policy`."""

    listen: Listen
    models: tuple[Model, ...]
    identity: Identity
    review: Review
    masks: tuple[Mask, ...]
    detectors: tuple[CustomDetector, ...]
    paths: tuple[PathRule, ...]
    holds: Holds
    approvals: tuple[Approval, ...]
    limits: Limits
    store_url: str
