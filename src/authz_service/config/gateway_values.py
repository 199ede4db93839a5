"""The sections `listen`, `link` and `models` of the configuration as values."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


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
class Link:
    """The way between Envoy and a service on another host: TCP with TLS, both showing a certificate.

    Envoy connects to `addresses` and shows `envoy_cert`; the service listens on `listen` and shows `cert`.
    Both must be signed by an authority in `authority`, the service's for the host that Envoy asked for.
    """

    addresses: tuple[tuple[str, int], ...]
    listen: tuple[str, int]
    authority: Path
    cert: Path
    key: Path
    envoy_cert: Path
    envoy_key: Path


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
