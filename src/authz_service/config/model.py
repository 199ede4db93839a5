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
    """A model that callers may name (`name` or an alias) and where its server is.

