"""Until when the certificates are good that others see: for metrics, and for `authz doctor`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from authz_service.config.model import Config

LOGINS: Final = "login.listen.tls"


@dataclass(frozen=True, slots=True)
class Shown:
    """A certificate, by the setting that names its file."""

    setting: str
    file: Path


@dataclass(frozen=True, slots=True)
class Validity:
    """When a chain of certificates begins and ceases to be good, as a whole."""

    begins: datetime
    ends: datetime


def certificates_of(config: Config) -> tuple[Shown, ...]:
    """The listeners', and those by which Envoy and the service know each other; none without TLS."""
    shown = [] if config.listen.tls is None else [Shown("listen.tls", config.listen.tls.cert)]
    if config.link is not None:
        shown.append(Shown("service.cert", config.link.cert))
        shown.append(Shown("service.envoy_cert", config.link.envoy_cert))
    logins = config.logins.listener
    if logins is not None and logins.tls is not None:
        shown.append(Shown(LOGINS, logins.tls.cert))
    return tuple(shown)


def validity_of(file: Path) -> Validity:
    """Raises `OSError`, and `ValueError` for a file without a certificate that can be read."""
    chain = x509.load_pem_x509_certificates(file.read_bytes())
    return Validity(
        max(certificate.not_valid_before_utc for certificate in chain),
        min(certificate.not_valid_after_utc for certificate in chain),
    )


class CertificateMetrics(Collector):
    """Reads the files when it is asked: a new certificate takes effect without a restart."""

    def __init__(self, shown: tuple[Shown, ...]) -> None:
        self._shown = shown

    def collect(self) -> list[Metric]:
        """One sample for each; 0, long expired, for one that cannot be read."""
        expiry = GaugeMetricFamily(
            "authz_certificate_expiry_timestamp_seconds",
            "When a certificate that others see ceases to be good.",
            labels=["certificate"],
        )
        for shown in self._shown:
            expiry.add_metric([shown.setting], _ends(shown.file))
        return [expiry]


def _ends(file: Path) -> float:
    try:
        return validity_of(file).ends.timestamp()
    except (OSError, ValueError):
        return 0.0
