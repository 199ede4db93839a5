"""What is filled into envoy.yaml: addresses, paths, models and how long requests may wait."""

from __future__ import annotations

import ipaddress
import os
import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

from authz_service.config.gateway_values import Credential, Link, Model
from authz_service.config.model import Config
from authz_service.errors import Misconfigured
from authz_service.keys.crew import service_sockets
from authz_service.keys.data_dir import DataDir

CERTIFICATE = "listener"
"""The name of the listener's certificate, among Envoy's secrets."""
LINK_CERTIFICATE = "link"
"""The name of that which Envoy shows the service."""
LONGEST_HOLD = 4200.0  # seconds: an hour, and time for the answer's first byte
AFTER_WAIT = 600.0  # what the routes' idle timeout leaves to a model after the longest wait
_AUTHORITIES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)


@dataclass(frozen=True, slots=True)
class Injected:
    """A model's credential as Envoy puts it in: the header, what stands before it, its SDS file."""

    header: str
    prefix: str
    sds: Path


@dataclass(frozen=True, slots=True)
class ModelTarget:
    """A model's server. `base` is the path that its URL puts before every request's, without a last /."""

    name: str
    host: str
    port: int
    tls: bool = False
    base: str = ""
    credential: Injected | None = None

    @property
    def is_address(self) -> bool:
        """Whether the host is an IP address, which no DNS server is asked about."""
        return is_address(self.host)

    @property
    def authority(self) -> str:
        """The Host header that the server expects."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.tls else 80) else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class EnvoySettings:
    """Everything that `render` fills in. `idle_timeout` is in seconds, above the longest wait.

    `service_sockets` has one Unix socket for each process of the service; with a `link` they stand for
    nothing, and its addresses count. `authorities` is the file of certificate authorities by which models
    over https are verified, `certificate` the SDS file of the listener's own,
    `client_authority` the file of those who sign callers' certificates, `link_certificate` the SDS file of
    what Envoy shows the service.
    """

    host: str
    port: int
    service_sockets: tuple[Path, ...]
    admin_socket: Path
    models: tuple[ModelTarget, ...]
    access_log: str = "/dev/stdout"
    certificate: Path | None = None
    client_authority: Path | None = None
    idle_timeout: float = LONGEST_HOLD
    authorities: Path | None = None
    link: Link | None = None
    link_certificate: Path | None = None


def envoy_settings(
    config: Config, data: DataDir, *, access_log: str = "/dev/stdout", workers: int = 1
) -> EnvoySettings:
    """The settings for one machine, with so many workers of the service.

    Raises `Misconfigured` where https has no authorities to trust.
    """
    certificates = config.identity.certificates
    models = tuple(_target(model, data) for model in config.models)
    return EnvoySettings(
        host=config.listen.host,
        port=config.listen.port,
        certificate=certificate_path(data) if config.listen.tls else None,
        client_authority=certificates.authority.absolute() if certificates else None,
        service_sockets=service_sockets(data, workers),
        admin_socket=data.admin_socket,
        models=models,
        access_log=access_log,
        idle_timeout=max(LONGEST_HOLD, config.holds.wait + AFTER_WAIT),
        authorities=system_authorities() if any(model.tls for model in models) else None,
        link=config.link,
        link_certificate=link_certificate_path(data) if config.link else None,
    )


def credential_path(model: str, data: DataDir) -> Path:
    """The SDS file of a model's credential; model names may hold any character, file names not."""
    return data.root / "credentials" / f"{quote(model, safe='')}.yaml"


def certificate_path(data: DataDir) -> Path:
    """The SDS file of the listener's certificate."""
    return data.root / "listen" / "certificate.yaml"


def link_certificate_path(data: DataDir) -> Path:
    """The SDS file of the certificate that Envoy shows the service."""
    return data.root / "link" / "certificate.yaml"


def is_address(host: str) -> bool:
    """Whether `host` is an IP address rather than a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether only this machine can connect to `host` (an address, or localhost)."""
    if host == "localhost":
        return True
    return is_address(host) and ipaddress.ip_address(host).is_loopback


def system_authorities() -> Path:
    """The certificate authorities that this system trusts (SSL_CERT_FILE first), as one PEM file."""
    candidates = (os.environ.get("SSL_CERT_FILE"), ssl.get_default_verify_paths().cafile, *_AUTHORITIES)
    for candidate in candidates:
        if candidate and Path(candidate).is_file():
            return Path(candidate)
    raise Misconfigured(
        "found no certificate authorities to verify https models by; "
        "install ca-certificates, or set SSL_CERT_FILE to a PEM file"
    )


def _target(model: Model, data: DataDir) -> ModelTarget:
    url = urlsplit(model.url)
    if url.scheme not in ("http", "https") or not url.hostname:
        raise Misconfigured(f"model {model.name!r}: the url must be http(s)://HOST[:PORT], got {model.url!r}")
    tls = url.scheme == "https"
    return ModelTarget(
        name=model.name,
        host=url.hostname,
        port=url.port or (443 if tls else 80),
        tls=tls,
        base=url.path.rstrip("/"),
        credential=_injected(model.credential, model.name, data) if model.credential else None,
    )


def _injected(credential: Credential, model: str, data: DataDir) -> Injected:
    return Injected(credential.header, credential.prefix, credential_path(model, data))
