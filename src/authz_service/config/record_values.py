"""The record's part of the configuration as frozen values."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from authz_service.config.keeping_values import Keeping


@dataclass(frozen=True, slots=True)
class Webhook:
    """Takes each checkpoint as a POST; `token` is a file whose content is sent as a bearer token."""

    url: str
    token: Path | None = None

    @property
    def name(self) -> str:
        """What it is called in metrics and messages."""
        return f"webhook {self.url}"


@dataclass(frozen=True, slots=True)
class Syslog:
    """Takes each checkpoint as a message of RFC 5424; `scheme` is udp, tcp or unix, `host` then a path."""

    scheme: str
    host: str
    port: int

    @property
    def name(self) -> str:
        """What it is called in metrics and messages."""
        return (
            f"syslog unix:{self.host}"
            if self.scheme == "unix"
            else f"syslog {self.scheme}://{self.host}:{self.port}"
        )


@dataclass(frozen=True, slots=True)
class Bucket:
    """Takes each checkpoint as an object; with `retain` (seconds) it is locked for that long."""

    bucket: str
    prefix: str = ""
    region: str | None = None
    endpoint: str | None = None
    retain: float | None = None

    @property
    def name(self) -> str:
        """What it is called in metrics and messages."""
        return f"s3 {self.bucket}/{self.prefix}"


Receiver = Webhook | Syslog | Bucket


@dataclass(frozen=True, slots=True)
class Checkpoints:
    """How often a checkpoint is taken, in seconds, and where it goes beside the data directory."""

    every: float = 300.0
    to: tuple[Receiver, ...] = ()


@dataclass(frozen=True, slots=True)
class Record:
    """`origin` is the name of the log in its checkpoints; None leaves it to the first start.

    With `search_texts` what was asked and answered can be searched, and lies in the index in clear.
    """

    origin: str | None = None
    checkpoints: Checkpoints = field(default_factory=Checkpoints)
    keeping: Keeping = field(default_factory=Keeping)
    search_texts: bool = False
