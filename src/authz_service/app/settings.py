"""What a service is told, and where it serves then."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from authz_service.config.gateway_values import Tls
from authz_service.keys.crew import Part
from authz_service.keys.data_dir import DataDir


@dataclass(frozen=True, slots=True)
class ServeSettings:
    """What `authz serve` is told. `metrics` is a host and a port, 0 chooses.

    `review` is `unix:PATH`, or HOST:PORT, which needs `review_tls`. `part` is what this process does where
    the service is several. `drain` is what exchanges in flight get to end when it stops, in seconds; held
    ones come back by Envoy's retry.
    """

    config: Path
    data: DataDir
    review: str
    metrics: tuple[str, int] = ("127.0.0.1", 0)
    review_tls: Tls | None = None
    drain: float = 5.0
    part: Part = Part()  # noqa: RUF009 - a frozen value


@dataclass(frozen=True, slots=True)
class Serving:
    """A running service's addresses; `review` is empty where another process serves that."""

    review: str
    metrics: str
