"""Hands Envoy the listener's certificate, and that for the service: SDS files; new ones take no restart."""

from __future__ import annotations

import json
import ssl
from pathlib import Path
from typing import NoReturn

from authz_service.config.gateway_values import Tls
from authz_service.config.model import Config
from authz_service.errors import Misconfigured
from authz_service.keys.data_dir import DataDir
from authz_service.proxy.files import write_private
from authz_service.proxy.settings import (
    CERTIFICATE,
    LINK_CERTIFICATE,
    certificate_path,
    link_certificate_path,
)

_SECRET = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"  # noqa: S105 - a type's name


def write_certificates(config: Config, data: DataDir) -> None:
    """Have Envoy read the certificate and key of `listen.tls`, and those for the service, (again).

    Envoy also reads them by itself when one is replaced by a rename in its folder. Raises `Misconfigured`
    for files that are missing or do not belong together; what Envoy has then stays.
    """
    if config.listen.tls is not None:
        _write(certificate_path(data), config.listen.tls, CERTIFICATE, "listen.tls")
    if config.link is not None:
        shown = Tls(config.link.envoy_cert, config.link.envoy_key)
        _write(link_certificate_path(data), shown, LINK_CERTIFICATE, "service")


def _write(path: Path, tls: Tls, name: str, section: str) -> None:
    _require_pair(tls, section)
    text = _sds(name, tls.cert.absolute(), tls.key.absolute())
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        # Envoy passes over a secret that is written as before, though its files changed: `/./` is the same.
        text = _sds(name, f"{tls.cert.absolute().parent}/./{tls.cert.name}", tls.key.absolute())
    write_private(path, text)


def _require_pair(tls: Tls, section: str) -> None:
    for path in (tls.cert, tls.key):
        try:
            path.read_bytes()
        except OSError as error:
            raise Misconfigured(f"{section}: cannot read {path}: {error.strerror}") from error
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(tls.cert, tls.key, password=_no_password)
    except (ssl.SSLError, ValueError) as error:
        raise Misconfigured(
            f"{section}: {tls.cert} and {tls.key} are no certificate and its key, in PEM without a password"
        ) from error


def _no_password() -> NoReturn:
    raise ValueError("the key has a password")  # else OpenSSL would ask on the terminal


def _sds(name: str, cert: Path | str, key: Path | str) -> str:
    chain = {"certificate_chain": {"filename": str(cert)}, "private_key": {"filename": str(key)}}
    resource = {"@type": _SECRET, "name": name, "tls_certificate": chain}
    return json.dumps({"resources": [resource]}, indent=1) + "\n"  # JSON is YAML
