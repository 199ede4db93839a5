"""Hands the models' credentials to Envoy: one SDS file for each, which only this user can read."""

from __future__ import annotations

import json

from authz_service.config.gateway_values import Model
from authz_service.config.model import Config
from authz_service.errors import Misconfigured
from authz_service.keys.data_dir import DataDir
from authz_service.proxy.files import write_private
from authz_service.proxy.settings import credential_path

LARGEST = 16 * 1024  # bytes; no header that servers accept is longer
_SECRET = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"  # noqa: S105 - a type's name


def write_credentials(config: Config, data: DataDir) -> None:
    """Write the SDS files anew, each by a rename, which Envoy watches for: no restart is needed.

    Raises `Misconfigured` for a file that is missing, open to others, or holds what is no header
    value. What the file holds is in no message.
    """
    for model in config.models:
        if model.credential is not None:
            write_private(credential_path(model.name, data), _sds(model.name, read_credential(model)))


def read_credential(model: Model) -> str:
    """The credential of a model, without the white space around it."""
    if model.credential is None:
        raise ValueError(f"model {model.name!r} has no credential")
    path = model.credential.file
    try:
        if path.stat().st_mode & 0o077:
            raise Misconfigured(f"{path} is readable by other users; run: chmod 600 {path}")
        raw = path.read_bytes()
    except OSError as error:
        message = f"cannot read the credential of model {model.name!r}: {path}: {error.strerror}"
        raise Misconfigured(message) from error
    value = raw.strip()
    if not value or len(value) > LARGEST or any(byte < 0x21 or byte > 0x7E for byte in value):
        expected = "one word of printable ASCII characters"
        raise Misconfigured(f"{path} should hold the credential of model {model.name!r}: {expected}")
    return value.decode("ascii")


def _sds(model: str, value: str) -> str:
    secret = {"inline_string": value}
    resource = {"@type": _SECRET, "name": f"credential/{model}", "generic_secret": {"secret": secret}}
    return json.dumps({"resources": [resource]}, indent=1) + "\n"  # JSON is YAML
