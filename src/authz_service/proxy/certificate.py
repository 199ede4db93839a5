"""Hands the listener's certificate to Envoy: an SDS file that names it; a new one takes no restart."""

from __future__ import annotations

import json
import ssl
from pathlib import Path
from typing import NoReturn

from authz_service.config.model import Config, Tls
from authz_service.errors import Misconfigured
from authz_service.keys.data_dir import DataDir
from authz_service.proxy.files import write_private
from authz_service.proxy.settings import CERTIFICATE, certificate_path

_SECRET = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"  # noqa: S105 - a type's name


def write_certificate(config: Config, data: DataDir) -> None:
    """Have Envoy read the certificate and key of `listen.tls` (again).

    Envoy also reads them by itself when one is replaced by a rename in its folder. Raises `Misconfigured`
    for files that are missing or do not belong together; what Envoy has then stays.
    """
    tls = config.listen.tls
    if tls is None:
        return
    _require_pair(tls)
    path = certificate_path(data)
    text = _sds(tls.cert.absolute(), tls.key.absolute())
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        # Envoy passes over a secret that is written as before, though its files changed: `/./` is the same.
        text = _sds(f"{tls.cert.absolute().parent}/./{tls.cert.name}", tls.key.absolute())
    write_private(path, text)


def _require_pair(tls: Tls) -> None:
    for path in (tls.cert, tls.key):
        try:
            path.read_bytes()
        except OSError as error:
            raise Misconfigured(f"listen.tls: cannot read {path}: {error.strerror}") from error
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(tls.cert, tls.key, password=_no_password)
    except (ssl.SSLError, ValueError) as error:
        raise Misconfigured(
            f"listen.tls: {tls.cert} and {tls.key} are no certificate and its key, in PEM without a password"
        ) from error


def _no_password() -> NoReturn:
    raise ValueError("the key has a password")  # else OpenSSL would ask on the terminal


def _sds(cert: Path | str, key: Path | str) -> str:
    chain = {"certificate_chain": {"filename": str(cert)}, "private_key": {"filename": str(key)}}
    resource = {"@type": _SECRET, "name": CERTIFICATE, "tls_certificate": chain}
    return json.dumps({"resources": [resource]}, indent=1) + "\n"  # JSON is YAML
