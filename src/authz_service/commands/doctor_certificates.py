"""What `authz doctor` says of the certificates that others see: how long they are good for."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from authz_service.commands.doctor_checks import Finding, Status
from authz_service.config.model import Config

SOON = timedelta(days=14)
_RENEW = "put a new one in its place by a rename (mv)"


def check_certificates(config: Config, now: datetime | None = None) -> Iterator[Finding]:
    """The listeners', and those by which Envoy and the service know each other; nothing without TLS."""
    shown = [] if config.listen.tls is None else [("listen.tls", config.listen.tls.cert)]
    if config.link is not None:
        shown += [("service.cert", config.link.cert), ("service.envoy_cert", config.link.envoy_cert)]
    for name, path in shown:
        yield _judged(name, path, now or datetime.now(UTC), f"{_RENEW}, then SIGHUP")
    logins = config.logins.listener
    if logins is not None and logins.tls is not None:
        yield _judged("login.listen.tls", logins.tls.cert, now or datetime.now(UTC), _RENEW)


def _judged(name: str, path: Path, now: datetime, step: str) -> Finding:
    check = f"certificate {name}"
    try:
        chain = x509.load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError):
        return Finding(check, Status.FAIL, f"{path} holds no certificate that can be read", step)
    ends = min(certificate.not_valid_after_utc for certificate in chain)
    begins = max(certificate.not_valid_before_utc for certificate in chain)
    if ends <= now:
        return Finding(check, Status.FAIL, f"{path} expired on {ends:%Y-%m-%d}: nobody connects", step)
    if begins > now:
        message = f"{path} is good from {begins:%Y-%m-%d %H:%M}Z on only"
        return Finding(check, Status.FAIL, message, "look at the clock, or put another one in its place")
    status = Status.WARN if ends - now < SOON else Status.OK
    return Finding(check, status, f"good until {ends:%Y-%m-%d}", step if status is Status.WARN else "")
